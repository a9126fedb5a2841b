"""What no rule speaks of: layouts that would be held, and private creators of which nothing is kept."""

from __future__ import annotations

from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ImplicitVRLittleEndian

from node.steps.anonymize import Anonymize
from node.steps.anonymize.coverage import Coverage, Creator, Layout, Seen, Verdict, look
from tests import make
from tests.steps.anonymize import ultrasound as us

_STEP = Anonymize(options=("clean_pixel_data", "retain_safe_private"))
_TS = "1.2.840.10008.1.2.1"


def _seen(ds: FileDataset) -> Seen:
    cleaning = _STEP.cleaning()
    assert cleaning is not None
    return look(us.received(ds), _TS, _STEP.plan_for()(make.CT_IMAGE), cleaning)


def test_a_layout_is_a_device_and_a_size() -> None:
    seen = _seen(us.image(()))
    assert seen.layout == Layout("US", "Nobody", "Unheard-of", "48", "64")
    assert str(seen.layout) == "US Nobody Unheard-of 64x48"
    assert (seen.verdict, seen.why) == (Verdict.HELD, "Burned In Annotation (0028,0301) is YES, and no pixel rule covers it")  # fmt: skip  # noqa: E501


def test_what_is_covered_names_its_rules() -> None:
    seen = _seen(us.image(Manufacturer="GE", ManufacturerModelName="LOGIQ9"))
    assert seen.verdict is Verdict.CLEANED
    first, second = seen.why.split(", ")
    assert (first.partition(":")[0], second) == ("deid.dicom", "ultrasound regions")


def test_what_nothing_suspects_is_untouched() -> None:
    seen = _seen(make.ct_series(1)[0])
    assert (seen.verdict, seen.why, str(seen.layout)) == (Verdict.UNTOUCHED, "", "CT 10x12")


def test_pixels_need_not_be_there_for_an_image_to_be_one() -> None:
    ds = us.image(())
    del ds.PixelData
    assert _seen(ds).verdict is Verdict.HELD
    assert "no pixel rule" in _seen(ds).why


def _with_private(*, implicit: bool = False) -> FileDataset:
    ds = make.ct_series(1)[0]
    safe = ds.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    safe.add_new(0x0C, "IS", "5")  # b_value: in Table E.3.10-1
    safe.add_new(0xFE, "LO", "x")
    ds.private_block(0x0029, "SOMEBODY", create=True).add_new(1, "LO", "x")
    item = Dataset()
    item.private_block(0x0029, "SOMEBODY", create=True).add_new(2, "LO", "x")
    ds.ReferencedImageSequence = [item]
    ds.add_new(0x00331001, "LO", "x")
    if implicit:
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return ds


def test_private_elements_are_counted_by_creator_at_every_depth() -> None:
    for implicit in (False, True):
        seen = _seen(_with_private(implicit=implicit))
        siemens, somebody, nobody = Creator(0x0019, "SIEMENS MR HEADER"), Creator(0x0029, "SOMEBODY"), Creator(0x33, "")
        assert seen.elements == {siemens: 2, somebody: 2, nobody: 1}
        assert +seen.kept == {siemens: 1}


def test_creators_of_which_something_is_kept_are_covered() -> None:
    found = Coverage()
    for _ in range(3):
        found.add(_seen(_with_private()))
    found.add(_seen(us.image(())))
    assert found.uncovered() == [(Creator(0x0029, "SOMEBODY"), 3, 6), (Creator(0x0033, ""), 3, 3)]
    assert str(found.uncovered()[0][0]) == '(0029,"SOMEBODY")'
    assert str(found.uncovered()[1][0]) == "(0033,) without a creator"
    assert [(str(layout), count) for layout, count, _ in found.of(Verdict.UNTOUCHED)] == [("CT 10x12", 3)]
    assert [count for _, count, _ in found.of(Verdict.HELD)] == [1]
