"""One table says what this installation can do, and it is found by trying."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import imagecodecs
import pytest
from pydicom.pixels import get_decoder
from pydicom.uid import JPEG2000, ExplicitVRLittleEndian, RLELossless

from node.dicom.uids import TRANSFER_SYNTAXES
from node.imaging import capabilities
from node.imaging.capabilities import cannot_decode, cannot_encode
from node.imaging.codecs import VIDEO, plugin_of
from node.imaging.targets import TARGETS
from tests.house.sources import ROOT


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    capabilities.capabilities.cache_clear()
    yield
    capabilities.capabilities.cache_clear()


def without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    """A build of imagecodecs that lacks some codecs."""
    monkeypatch.setattr(capabilities, "_there", lambda codec: codec not in missing)


def test_every_syntax_of_the_standard_is_decoded_or_has_a_reason() -> None:
    table = capabilities.capabilities()
    assert set(table) == set(TRANSFER_SYNTAXES)
    assert [c.uid for c in table.values() if bool(c.decode) == bool(c.reason)] == []
    assert all("video" in table[uid].reason for uid in VIDEO if uid in table)


def test_this_installation_decodes_and_encodes_all_that_the_node_can() -> None:
    assert cannot_decode() == ()
    assert cannot_encode(target.uid for target in TARGETS.values()) == ()


def test_what_is_still_not_decoded_is_video_referenced_retired_or_private() -> None:
    names = [c.name for c in capabilities.capabilities().values() if not c.decode]
    kinds = ("MPEG", "HEVC", "JPIP", "Hierarchical", "SMPTE")
    assert {name for name in names if not any(kind in name for kind in kinds)} == {
        "Papyrus 3 Implicit VR Little Endian",
        "GE Private Implicit VR Big Endian Pixels",
    }


def test_a_codec_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "jpegls")
    monkeypatch.setattr(capabilities, "plugin_of", lambda uid: None)
    table = capabilities.capabilities()
    assert table["1.2.840.10008.1.2.4.80"].decode == ""
    assert table["1.2.840.10008.1.2.4.80"].encode == ""
    assert "lacks jpegls" in cannot_decode()[0]
    assert cannot_encode([TARGETS["jpeg-ls"].uid]) == ("JPEG-LS Lossless Image Compression",)


def test_what_pydicom_decodes_without_imagecodecs_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "jpeg2k")
    assert capabilities.capabilities()["1.2.840.10008.1.2.4.90"].decode == "pydicom"


def test_pillow_decodes_nothing_even_where_it_is_installed() -> None:
    """It comes with highdicom, and was not compared with the other decoders."""
    assert "pillow" in get_decoder(JPEG2000).available_plugins
    assert plugin_of(JPEG2000) == "pylibjpeg"
    assert plugin_of(RLELossless) == "pylibjpeg"
    assert plugin_of(ExplicitVRLittleEndian) is None


def test_the_table_loads_no_codec() -> None:
    """It is made where rules.yaml is read, which is the process that answers associations."""
    program = (
        "import sys; from node.imaging.capabilities import capabilities; assert capabilities();"
        "print([name for name in sys.modules if name.startswith('imagecodecs._') and name[12:] in "
        "('_jpeg8', '_ljpeg', '_jpegls', '_jpeg2k', '_htj2k', '_jpegxl', '_imcd')])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_encoder_that_does_not_work_is_not_claimed_when_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise RuntimeError("built without it")

    uid = TARGETS["jpeg-lossless"].uid
    monkeypatch.setattr(imagecodecs, "jpeg8_encode", refuse)
    assert capabilities.capabilities()[uid].encode == "imagecodecs"
    assert capabilities.capabilities(tried=True)[uid].encode == ""


def test_everything_that_is_claimed_works_when_it_is_tried() -> None:
    assert dict(capabilities.capabilities(tried=True)) == dict(capabilities.capabilities())
