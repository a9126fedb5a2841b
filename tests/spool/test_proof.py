"""A file of the spool is what was acknowledged, or it is said what is wrong with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from node.model import Arrival
from node.spool.proof import flaw
from tests import make
from tests.kit import Kit


def kept(kit: Kit) -> tuple[Path, Arrival]:
    arrival = kit.arrival(make.instance())
    return kit.spool.where(arrival.path), arrival


def test_a_whole_file_has_no_flaw(kit: Kit) -> None:
    path, arrival = kept(kit)
    assert flaw(path, arrival.receipt, arrival.sha256, arrival.origin, arrival.identity) == ""


@pytest.mark.parametrize(("at", "what"), [(-1, "bytes are not those"), (128, "not a DICOM file")])
def test_a_flipped_byte_is_one(kit: Kit, at: int, what: str) -> None:
    path, arrival = kept(kit)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    assert what in flaw(path, arrival.receipt, arrival.sha256)


@pytest.mark.parametrize("field", ["sop_class", "sop_instance", "transfer_syntax"])
def test_a_flipped_bit_before_the_data_set_that_says_what_it_is_is_one(kit: Kit, field: str) -> None:
    path, arrival = kept(kit)
    content, uid = bytearray(path.read_bytes()), getattr(arrival.identity, field).encode()
    content[content.index(uid, 132) + len(uid) - 1] ^= 4
    path.write_bytes(content)
    assert flaw(path, arrival.receipt, arrival.sha256) == "", "the data set is whole"
    assert "names another" in flaw(path, arrival.receipt, arrival.sha256, identity=arrival.identity)


def test_a_file_that_was_cut_is_one(kit: Kit) -> None:
    path, arrival = kept(kit)
    path.write_bytes(path.read_bytes()[:-7])
    assert "bytes are not those" in flaw(path, arrival.receipt, arrival.sha256)


def test_another_provenance_is_one(kit: Kit) -> None:
    path, arrival = kept(kit)
    assert "another receipt" in flaw(path, "0" * 32, arrival.sha256)
    assert "another sender" in flaw(path, arrival.receipt, arrival.sha256, replace(arrival.origin, calling_ae="CT9"))
    make.write(make.instance(), path)
    assert flaw(path, arrival.receipt, arrival.sha256) in (
        "its provenance is gone", "its bytes are not those that were received",
    )  # fmt: skip


def test_a_file_that_is_gone_is_for_the_caller(kit: Kit) -> None:
    path, arrival = kept(kit)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        flaw(path, arrival.receipt, arrival.sha256)
