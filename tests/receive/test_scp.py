"""C-STORE over real sockets: what is taken, what is answered, and that what is kept is what was sent."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node.dicom.uids import STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES, transfer_syntax
from node.model import UID, Origin
from tests import make
from tests.dicom.datasets import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, encoded, explicit, nested
from tests.peers import VERIFICATION, Instance, Sender, send
from tests.receive.station import content_of, junk, station, until

CT = make.CT_IMAGE


def sent_as(ds: Dataset, syntax: str = EXPLICIT) -> Instance:
    return Instance(
        sop_class=str(ds.SOPClassUID), sop_instance=str(ds.SOPInstanceUID), transfer_syntax=syntax,
        data=encoded(ds, syntax if syntax in (IMPLICIT, BIG_ENDIAN, DEFLATED) else EXPLICIT),
    )  # fmt: skip


def with_bytes(instance: Instance, before_pixels: bytes) -> Instance:
    return Instance(
        sop_class=instance.sop_class, sop_instance=instance.sop_instance, transfer_syntax=instance.transfer_syntax,
        data=instance.data + before_pixels,
    )  # fmt: skip


def test_an_instance_is_kept_as_it_came_with_who_sent_it(tmp_path: Path) -> None:
    with station(tmp_path) as node:
        assert send(node.port, [make.instance()], calling_ae="CT1", called_ae="RESEARCH") == [0x0000]
        (path,) = node.kept()
    meta, data = content_of(path)
    assert data == Instance.of(make.instance()).data
    assert meta.provenance is not None
    assert meta.provenance.receipt == path.stem
    assert meta.provenance.origin == Origin(calling_ae="CT1", called_ae="RESEARCH", sender="127.0.0.1")
    assert (meta.sop_class, meta.sop_instance) == (CT, make.instance().SOPInstanceUID)


def test_what_is_handed_on_to_the_index_is_what_the_file_says(tmp_path: Path) -> None:
    with station(tmp_path) as node:
        send(node.port, [make.instance()], calling_ae="CT1", called_ae="RESEARCH")
    (arrival,), (path,) = node.arrivals, node.kept()
    meta, data = content_of(path)
    assert meta.provenance is not None
    assert (arrival.receipt, arrival.sha256) == (meta.provenance.receipt, meta.provenance.sha256)
    assert (arrival.origin, arrival.received) == (meta.provenance.origin, meta.provenance.received)
    assert (arrival.size, arrival.path) == (len(data), node.spool.relative(path))
    assert arrival.identity.series == make.instance().SeriesInstanceUID
    assert arrival.held == ""


def test_every_storage_class_is_taken_also_retired_private_and_future_ones(tmp_path: Path) -> None:
    unlisted = ["1.3.12.2.1107.5.9.1", "1.2.826.0.1.3680043.2.1", "1.2.840.10008.5.1.4.1.1.999.9"]
    classes = [*sorted(STORAGE_SOP_CLASSES), *unlisted]
    assert "1.2.840.10008.5.1.1.29" in classes, "a retired one"
    with station(tmp_path) as node:
        for start in range(0, len(classes), 128):
            some = classes[start : start + 128]
            with Sender(node.port, [(one, [EXPLICIT]) for one in some]) as sender:
                for number, sop_class in enumerate(some):
                    assert sender.store(sent_as(make.instance(sop_class, number=start + number))) == 0
        assert len(node.kept()) == len(classes)
        assert {str(one.identity.sop_class) for one in node.arrivals} == set(classes)


def encoded_as(syntax: str, number: int) -> Instance:
    """An instance as its transfer syntax has it; where pixels are encapsulated, an empty JPEG stands for them."""
    properties = transfer_syntax(syntax)
    plain = DEFLATED if properties.deflated else BIG_ENDIAN if properties.big_endian else EXPLICIT
    instance = sent_as(make.instance(number=number), plain if properties.explicit else IMPLICIT)
    item = b"\xfe\xff\x00\xe0"
    fragments = item + b"\0\0\0\0" + item + b"\4\0\0\0\xff\xd8\xff\xd9" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    pixels = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + fragments if properties.encapsulated else b""
    return Instance(
        sop_class=CT, sop_instance=instance.sop_instance, transfer_syntax=syntax, data=instance.data + pixels
    )  # fmt: skip


def test_every_transfer_syntax_is_kept_in_its_own_encoding(tmp_path: Path) -> None:
    """Uncompressed in all four ways, the JPEG family, JPEG 2000, HTJ2K, RLE, video, and one that nobody knows."""
    syntaxes = [*sorted(TRANSFER_SYNTAXES), "1.2.3.4.5.6"]
    instances = [encoded_as(syntax, number) for number, syntax in enumerate(syntaxes)]
    with station(tmp_path) as node:
        assert send(node.port, instances) == [0] * len(instances)
        kept = {meta.transfer_syntax: data for meta, data in map(content_of, node.kept())}
    assert kept == {UID(one.transfer_syntax): one.data for one in instances}


ODD = {
    "a value of odd length": explicit(0x00180015, "CS", b"HEAD\0\0X"),
    "a group length that is wrong": explicit(0x00180000, "UL", b"\xff\0\0\0") + explicit(0x00180015, "CS", b"HEAD"),
    "numbers as a scanner writes them": explicit(0x00180050, "DS", b"+005.0000"),
    "a text outside its character set": explicit(0x00204000, "LT", b"\xff\xfe\x80 "),
    "private elements without a creator": explicit(0x00291010, "LO", b"secret"),
    "a VR that nobody knows": b"\x29\x00\x10\x10ZZ\0\0\x04\0\0\0abcd",
    "trailing padding": explicit(0xFFFCFFFC, "OB", b"\0" * 32),
    "sequences of undefined length": nested(5),
    "an element twice": explicit(0x00200013, "IS", b"1 ") + explicit(0x00200013, "IS", b"2 "),
    "elements that are not in order": explicit(0x00200013, "IS", b"1 ") + explicit(0x00180015, "CS", b"HEAD"),
    "numbers that are none": explicit(0x00189073, "FD", b"\0\0\0\0\0\0\xf8\x7f"),
}


@pytest.mark.parametrize("what", ODD)
def test_what_a_library_would_put_right_is_kept_as_it_came(tmp_path: Path, what: str) -> None:
    ds = make.instance()
    for keyword in ("SeriesNumber", "InstanceNumber", "FrameOfReferenceUID", "StudyID"):
        delattr(ds, keyword)
    odd = with_bytes(sent_as(ds), ODD[what])
    with station(tmp_path) as node:
        assert send(node.port, [odd]) == [0]
        assert node.stored() == [odd.data]


# The test's own sender writes its command with pydicom, which warns.
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_uids_are_taken_with_leading_zeros_and_with_a_blank_as_padding(tmp_path: Path) -> None:
    ds = make.instance()
    head = sent_as(ds).data.split(b"\x08\x00\x18\x00UI")[0]
    data = head + explicit(0x00080018, "UI", b"1.2.003.44")
    data += explicit(0x0020000D, "UI", b"1.2.5 ") + explicit(0x0020000E, "UI", b"1.2.5.1\0")
    instance = Instance(sop_class=CT, sop_instance="1.2.003.44", transfer_syntax=EXPLICIT, data=data)
    with station(tmp_path) as node:
        assert send(node.port, [instance]) == [0]
        assert node.stored() == [data]
        assert node.arrivals[0].identity.study == UID("1.2.5")


def test_many_instances_on_one_association_and_one_association_for_each(tmp_path: Path) -> None:
    instances = [make.instance(number=n) for n in range(1, 31)]
    with station(tmp_path) as node:
        assert send(node.port, instances) == [0] * 30
        for one in instances[:10]:
            assert send(node.port, [one]) == [0]
        assert len(node.kept()) == 40
        node.until_nobody_is_here()


def test_senders_side_by_side_get_their_own_answers(tmp_path: Path) -> None:
    statuses: dict[int, list[int]] = {}

    def run(sender: int) -> None:
        instances: list[Instance] = [sent_as(make.instance(series=f"s{sender}", number=n)) for n in range(10)]
        instances[sender] = junk(sender)
        statuses[sender] = send(node.port, instances, calling_ae=f"CT{sender}")

    with station(tmp_path) as node:
        threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == {n: [0] * n + [0xC000] + [0] * (9 - n) for n in range(8)}
        assert len(node.kept()) == 72
        assert {(a.origin.calling_ae, a.identity.series) for a in node.arrivals} == {
            (f"CT{n}", make.uid("study", f"s{n}")) for n in range(8)
        }


def test_echo_is_answered_between_instances_too(tmp_path: Path) -> None:
    with (
        station(tmp_path) as node,
        Sender(node.port, [(VERIFICATION, [IMPLICIT]), (CT, [EXPLICIT])]) as sender,
    ):
        assert sender.echo() == 0
        assert sender.store(make.instance()) == 0
        assert sender.echo() == 0
        until(lambda: node.sessions.receiving(0.0) == set(), "the last answer is out")


def test_the_first_instance_of_an_association_is_of_its_series_before_it_is_whole(tmp_path: Path) -> None:
    instance = Instance.of(make.instance())
    with station(tmp_path) as node, Sender(node.port, [(CT, [EXPLICIT])]) as sender:
        sender.begin(instance, only=len(instance.data) - 1)
        units = {f"NODE/{make.uid('study')}", f"NODE/{make.uid('study', 'series')}"}
        until(lambda: node.sessions.receiving(0.0) == units, "its header is here")
        sender.raw(sender.p_data(1, 0x02, instance.data[-1:]))
        assert sender.status() == 0
        until(lambda: node.sessions.receiving(0.0) == set(), "the answer is out")


def test_instances_that_come_in_many_small_fragments_are_whole(tmp_path: Path) -> None:
    instance = Instance.of(make.ct_series(1, rows=64, columns=64)[0])
    with station(tmp_path) as node, Sender(node.port, [(CT, [EXPLICIT])]) as sender:
        for size in (1, 7, 100, 4096):
            if size == 1:
                continue
            sender.max_pdu = 6 + size
            assert sender.store(instance) == 0
        assert node.stored() == [instance.data] * 3


def test_a_large_data_set_goes_through_whole(tmp_path: Path) -> None:
    instance = with_bytes(sent_as(make.instance()), explicit(0x7FE00010, "OW", bytes(range(256)) * (1 << 15)))
    with station(tmp_path) as node:
        assert send(node.port, [instance]) == [0]
        assert node.stored() == [instance.data]


def test_100000_elements_and_60_levels_are_no_reason_to_refuse(tmp_path: Path) -> None:
    """Also before what identifies the instance."""
    wide = b"".join(explicit(0x00091000 + n % 60_000 + (n // 60_000 << 17), "LO", b"v ") for n in range(100_000))
    first = sent_as(make.instance(number=1))
    patient = first.data.index(b"\x10\x00\x10\x00PN")
    data = first.data[:patient] + wide + first.data[patient:]
    instances = [replace(first, data=data), with_bytes(sent_as(make.instance(number=2)), nested(60))]
    with station(tmp_path) as node:
        assert send(node.port, instances) == [0, 0]
        assert node.stored() == [one.data for one in instances]


@pytest.mark.parametrize("declared", [None, "", "ISO_IR 999", "ISO 2022 IR 87", "\\ISO 2022 IR 149"])
def test_text_in_an_unknown_or_missing_character_set_is_taken_and_its_header_read(
    tmp_path: Path, declared: str | None
) -> None:
    ds = make.instance()
    del ds.SpecificCharacterSet
    del ds.PatientName
    data = encoded(ds)
    text = b"" if declared is None else explicit(0x00080005, "CS", declared.encode() + b" " * (len(declared) % 2))
    data = text + data + explicit(0x00104000, "LT", b"\xe9\xff\x1b$B  ")
    instance = Instance(sop_class=CT, sop_instance=str(ds.SOPInstanceUID), transfer_syntax=EXPLICIT, data=data)
    with station(tmp_path) as node:
        assert send(node.port, [instance]) == [0]
        assert node.stored() == [data]
        assert node.arrivals[0].identity.series == ds.SeriesInstanceUID
