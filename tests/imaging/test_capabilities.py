"""One table says what this installation can do, and it is found by trying."""

from __future__ import annotations

from collections.abc import Iterator

import imagecodecs
import pytest

from node.dicom.uids import TRANSFER_SYNTAXES
from node.imaging import capabilities
from node.imaging.capabilities import cannot_decode, cannot_encode
from node.imaging.codecs import VIDEO
from node.imaging.targets import TARGETS


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    capabilities.capabilities.cache_clear()
    yield
    capabilities.capabilities.cache_clear()


class Missing:
    """A codec that a build of imagecodecs lacks."""

    available = False


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
    monkeypatch.setattr(imagecodecs, "JPEGLS", Missing)
    table = capabilities.capabilities()
    assert table["1.2.840.10008.1.2.4.80"].decode == ""
    assert table["1.2.840.10008.1.2.4.80"].encode == ""
    assert "lacks JPEGLS" in cannot_decode()[0]
    assert cannot_encode([TARGETS["jpeg-ls"].uid]) == ("JPEG-LS Lossless Image Compression",)


def test_what_pydicom_decodes_without_imagecodecs_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagecodecs, "JPEG2K", Missing)
    assert capabilities.capabilities()["1.2.840.10008.1.2.4.90"].decode == "pydicom"


def test_an_encoder_that_does_not_work_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> bytes:
        raise RuntimeError("built without it")

    monkeypatch.setattr(imagecodecs, "jpeg8_encode", refuse)
    assert cannot_encode([TARGETS["jpeg-lossless"].uid]) == (
        "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection Value 1])",
    )
