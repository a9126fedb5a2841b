"""Files become goods: their hash, their place in a folder, and whether this node made them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from node.dicom.part10 import read_meta
from node.model import UID, Item, Kind, ReceiptId
from node.pool import Pool
from node.run.contents import Content
from node.run.goods import goods_of
from node.run.known import Known
from tests import make

A, B = ReceiptId("a" * 32), ReceiptId("b" * 32)


def sent(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()[read_meta(path).dataset_offset :]).hexdigest()


def item(folder: Path, *sources: ReceiptId, number: int = 1, kind: Kind = Kind.DICOM) -> Item:
    path = folder / f"{number}.{kind}"
    if kind is Kind.DICOM:
        make.write(make.ct_series(number)[-1], path)
    else:
        path.write_bytes(b"volume")
    return Item(path=path, kind=kind, sources=sources)


def test_a_file_that_is_sent_as_it_came_is_not_ours(pool: Pool, tmp_path: Path) -> None:
    one = item(tmp_path, A)
    uid = UID(make.uid("study", "series", 1))
    (found,) = goods_of(pool, [one], {Kind.DICOM}, {A: (uid, sent(one.path))})
    assert (found.renamed, found.changed) == (False, False)
    assert (found.sop_instance, found.sop_class) == (uid, make.CT_IMAGE)
    assert found.content == sent(one.path)
    assert found.sources == (A,)


def test_what_is_known_is_not_read_again(pool: Pool, tmp_path: Path) -> None:
    one, known = item(tmp_path, A), Known()
    known.learn(one.path, one.path.stat(), Content(sha256="known", sop_instance="1.2"))
    (found,) = goods_of(pool, [one], {Kind.DICOM}, {}, known)
    assert (found.content, found.sop_instance) == ("known", "1.2")
    other = item(tmp_path, B, number=2)
    assert [g.content for g in goods_of(pool, [one, other], {Kind.DICOM}, {}, known)] == [
        sent(one.path),
        sent(other.path),
    ], "of a part of which one is not known all are read"


def test_new_content_and_a_new_uid_are_told_apart(pool: Pool, tmp_path: Path) -> None:
    one = item(tmp_path, A)
    uid = UID(make.uid("study", "series", 1))
    (edited,) = goods_of(pool, [one], {Kind.DICOM}, {A: (uid, "another")})
    assert (edited.renamed, edited.changed) == (False, True), "the sender may send the original under this UID again"
    (ours,) = goods_of(pool, [one], {Kind.DICOM}, {A: (UID("1.2.3"), "another")})
    assert (ours.renamed, ours.changed) == (True, True)


def test_only_what_is_asked_for_is_sent_and_the_rest_gives_it_a_place(pool: Pool, tmp_path: Path) -> None:
    first, second = item(tmp_path, A, number=1), item(tmp_path, B, number=2)
    volume = item(tmp_path, B, A, kind=Kind.NIFTI)
    (found,) = goods_of(pool, [first, second, volume], {Kind.NIFTI}, {})
    assert (found.kind, found.sop_instance, found.sources) == (Kind.NIFTI, "", (B, A))
    assert found.content == hashlib.sha256(b"volume").hexdigest()
    assert (found.fields["InstanceNumber"], found.fields["Modality"]) == ("2", "CT")
    assert [g.kind for g in goods_of(pool, [first, volume], {Kind.NIFTI, Kind.DICOM}, {})] == [Kind.DICOM, Kind.NIFTI]


def test_a_file_without_its_instances_has_no_fields(pool: Pool, tmp_path: Path) -> None:
    (found,) = goods_of(pool, [item(tmp_path, A, kind=Kind.REPORT)], {Kind.REPORT}, {})
    assert found.fields == {}
