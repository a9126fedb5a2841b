"""The sender of the benchmarks says what it means: its PDUs are read back here, and by pynetdicom."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from benchmarks.images import ct, mr, multiframe
from benchmarks.sending import blast, shares
from benchmarks.template import Template, Which
from benchmarks.wire import Association, Message, store_large
from tests.peers import Recorder


@dataclass(frozen=True, slots=True)
class Read:
    """What the PDUs of one message carry."""

    command: bytes
    dataset: bytes
    lengths: list[int] = field(default_factory=list)


def read(pdus: bytes) -> Read:
    """Reassemble P-DATA-TF PDUs of one PDV each (PS3.8 9.3.5)."""
    parts: dict[bool, bytes] = {True: b"", False: b""}
    lengths, at = [], 0
    while at < len(pdus):
        kind, length, item, context, control = struct.unpack_from(">BxIIBB", pdus, at)
        assert (kind, item, context) == (4, length - 4, 1)
        parts[bool(control & 1)] += pdus[at + 12 : at + 6 + length]
        at += 6 + length
        lengths.append(length)
        assert bool(control & 2) == (len(lengths) == 1 or at == len(pdus)), "the last fragment, and no other, says so"
    return Read(parts[True], parts[False], lengths)


@pytest.mark.parametrize("largest", [4096, 16384, 131072, 0])
@pytest.mark.parametrize("template", [ct(64), mr(32)], ids=lambda t: t.name)
def test_a_message_is_the_instance_it_was_filled_with_whatever_the_peer_takes(template: Template, largest: int) -> None:
    message = Message(template.sop_class, template.dataset, template.places, largest, Which(0, 0, 0).instance.encode())
    for number, which in enumerate([Which(7, 3, 250), Which(8, 0, 1)], 1):
        message.fill(number, which.values())
        found = read(bytes(message.bytes))
        assert found.dataset == template.instance(which)
        assert which.instance.encode() in found.command
        assert struct.pack("<HHIH", 0, 0x0110, 2, number) in found.command
        assert max(found.lengths) <= (largest or 131072)


def test_a_message_whose_places_would_lie_across_two_pdus_is_refused() -> None:
    template = ct(64)
    with pytest.raises(ValueError, match="two PDUs"):
        Message(template.sop_class, template.dataset, template.places, 150, Which(0, 0, 0).instance.encode())


def test_instances_differ_in_uids_number_and_position_and_in_nothing_else() -> None:
    template = mr(32)
    one, other = (dcmread(DicomBytesIO(template.instance(w)), force=True) for w in (Which(1, 0, 4), Which(1, 2, 5)))
    changed = {e.keyword for e in one if other[e.tag].value != e.value}
    assert changed == {"SeriesInstanceUID", "SOPInstanceUID", "InstanceNumber", "SliceLocation"}
    assert one.StudyInstanceUID != dcmread(DicomBytesIO(template.instance(Which(2, 0, 4))), force=True).StudyInstanceUID


def test_everything_that_is_blasted_arrives_once_and_as_it_was(tmp_path: Path) -> None:
    template, sent = ct(64), shares(3, 10, 3)
    with Recorder() as peer:
        blast(peer.port, template, sent, tmp_path)
        came = {r.sop_instance: r.data for r in peer.received}
        assert len(peer.received) == 10
    assert came == {which.instance: template.instance(which) for share in sent for which in share}


def test_an_instance_that_is_not_taken_ends_the_benchmark(tmp_path: Path) -> None:
    with Recorder(refuse=0xA700) as peer, pytest.raises(SystemExit, match="0xa700"):
        blast(peer.port, ct(64), shares(3, 10, 2), tmp_path)


def test_a_large_instance_is_never_held_as_a_whole_and_arrives_as_one() -> None:
    sop_class, instance, head, size = multiframe(3, rows=256)
    frame = bytes(size // 3)
    with Recorder() as peer:
        with Association(peer.port, sop_class) as association:
            assert store_large(association, sop_class, instance, iter([head, frame, frame, frame])) == 0x0000
        (came,) = peer.received
    assert came.data == head + frame * 3
    assert came.dataset().NumberOfFrames == 3
