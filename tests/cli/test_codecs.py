"""`dicom-node codecs` says what this installation can do."""

from __future__ import annotations

import json

import pytest

from node.cli.codecs import codecs
from node.dicom.uids import TRANSFER_SYNTAXES
from node.imaging import capabilities
from node.imaging.targets import TARGETS
from tests.cli.command import dicom_node


def test_every_transfer_syntax_has_a_line() -> None:
    ran = dicom_node("codecs")
    assert (ran.code, ran.err) == (0, "")
    lines = [line.split("\t") for line in ran.out.splitlines()]
    assert len(lines) == len(TRANSFER_SYNTAXES)
    by_name = {line[0]: line[1:] for line in lines}
    assert by_name["RLE Lossless (1.2.840.10008.1.2.5)"] == ["imagecodecs", "pydicom", "rle"]
    assert by_name["MPEG2 Main Profile / Main Level (1.2.840.10008.1.2.4.100)"][0].startswith("not: is video")


def test_the_same_as_json() -> None:
    ran = dicom_node("codecs", "--json")
    said = json.loads(ran.out)
    assert said["missing"] == []
    assert {row["transcode"] for row in said["syntaxes"]} - {""} == set(TARGETS)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(capabilities, "_there", lambda codec: codec != "jpegls")
    capabilities.capabilities.cache_clear()
    try:
        assert codecs(as_json=False) == 1
    finally:
        capabilities.capabilities.cache_clear()
    assert "missing here: JPEG-LS Lossless Image Compression\n" in capsys.readouterr().err
