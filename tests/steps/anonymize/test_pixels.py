"""Pixels are cleaned where a rule or the regions say what has to go, all others wait; and the output says just that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate

from node.errors import CannotSucceed
from node.imaging.mask import Cut, Rectangle, mask_of
from node.imaging.pixels import read_header
from node.steps.anonymize import pixel_rules
from node.steps.anonymize.pixel_options import PixelOptions
from node.steps.anonymize.pixel_rules import Area, PixelRule, RuleCut, RuleFile
from node.steps.anonymize.pixels import Cleaning, Refusal, ultrasound_regions
from node.steps.anonymize.plain import Plain
from tests import make
from tests.steps.anonymize import ultrasound as us
from tests.steps.anonymize.driver import output, result, run, why_held

CLEAN = {"options": ("clean_pixel_data",)}
BUNDLED = Cleaning(files=(pixel_rules.bundled(),))


def _codes(ds: FileDataset) -> list[str]:
    return [item.CodeValue for item in ds.DeidentificationMethodCodeSequence]


def _site(tmp_path: Path, *lines: str, section: str = "graylist") -> dict[str, Any]:
    """The step's options with a site's own filter file."""
    path = tmp_path / "site.deid"
    path.write_text("\n".join(["FORMAT dicom", f"%filter {section}", "LABEL site", *lines, ""]))
    return {**CLEAN, "pixels": PixelOptions(rules=(path,))}


# ---- ultrasound ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("frames", [1, 4])
def test_outside_the_regions_an_ultrasound_is_black_and_inside_nothing_changed(
    tmp_path: Path, frames: int, colour: bool
) -> None:
    after = result(us.image(frames=frames, colour=colour), tmp_path, **CLEAN)
    found, before = after.pixel_array, us.pixels(frames, colour=colour)
    at = (slice(None), us.KEPT) if frames > 1 else us.KEPT
    away = (slice(None), ~us.KEPT) if frames > 1 else ~us.KEPT
    np.testing.assert_array_equal(found[at], before[at])
    assert not found[away].any()


def test_without_the_option_it_is_held_as_before(tmp_path: Path) -> None:
    assert "Burned In Annotation" in why_held(us.image(), tmp_path)


def test_several_regions_are_all_kept(tmp_path: Path) -> None:
    regions = [Rectangle(4, 10, 30, 44), Rectangle(34, 10, 60, 44)]
    found = result(us.image(regions), tmp_path, **CLEAN).pixel_array
    kept = mask_of([Cut(area) for area in regions], us.ROWS, us.COLUMNS)
    assert not found[~kept].any()
    np.testing.assert_array_equal(found[kept], us.pixels()[kept])


@pytest.mark.parametrize(
    "regions",
    [
        (),
        (Rectangle(0, 0, us.COLUMNS, us.ROWS),),
        (Rectangle(0, 0, 30, us.ROWS), Rectangle(30, 0, 5000, 5000)),
        (Rectangle(100, 100, 200, 200),),
        (Rectangle(30, 30, 20, 20),),
        (Rectangle(0, 0, us.COLUMNS, us.ROWS - 1),),
        (Rectangle(7, 7, us.COLUMNS, us.ROWS - 7),),
    ],
    ids=[
        "none",
        "the whole image",
        "together the whole image",
        "beside the image",
        "the wrong way round",
        "all but one row",
        "all but strips without room for text",
    ],
)
def test_regions_that_leave_nothing_out_or_nothing_in_are_no_rule(
    tmp_path: Path, regions: tuple[Rectangle, ...]
) -> None:
    assert "no pixel rule covers it" in why_held(us.image(regions), tmp_path, **CLEAN)


def test_a_region_without_a_corner_is_not_kept() -> None:
    ds = us.image([us.REGION, Rectangle(0, 0, 60, 8)])
    del ds.SequenceOfUltrasoundRegions[1].RegionLocationMaxY1
    assert ultrasound_regions(Plain(us.received(ds))) == (us.REGION,)


def test_regions_of_what_is_no_ultrasound_release_nothing(tmp_path: Path) -> None:
    ds = us.image(Modality="XA", SOPClassUID="1.2.840.10008.5.1.4.1.1.12.1")
    assert "no pixel rule covers it" in why_held(ds, tmp_path, **CLEAN)


# ---- device rules --------------------------------------------------------------------------------------


def test_a_bundled_rule_blacks_its_rectangle(tmp_path: Path) -> None:
    ds = us.image((), Manufacturer="GE", ManufacturerModelName="LOGIQ9")  # ctpcoordinates 0,0,640,30
    found = result(ds, tmp_path, **CLEAN).pixel_array
    assert not found[:30].any()
    np.testing.assert_array_equal(found[30:], us.pixels()[30:])
    assert "no pixel rule" in why_held(ds, tmp_path, **CLEAN, pixels=PixelOptions(bundled=False))


def test_a_rule_and_the_regions_take_both_what_they_take(tmp_path: Path) -> None:
    ds = us.image(Manufacturer="GE", ManufacturerModelName="LOGIQ9")
    found = result(ds, tmp_path, **CLEAN).pixel_array
    kept = us.KEPT & ~mask_of([Cut(Rectangle(0, 0, 640, 30))], us.ROWS, us.COLUMNS)
    assert not found[~kept].any()
    np.testing.assert_array_equal(found[kept], us.pixels()[kept])


def test_a_rule_for_another_layout_covers_nothing(tmp_path: Path) -> None:
    options = _site(tmp_path, "contains Manufacturer Nobody", "coordinates 100,100,200,200")
    assert "no pixel rule covers it" in why_held(us.image(()), tmp_path, **options)


def _screen(rows: int, columns: int, **header: Any) -> FileDataset:
    ds = make.secondary_capture(np.full((rows, columns), 200, np.uint8))
    ds.Modality, ds.Manufacturer, ds.SeriesDescription = "CT", "GE MEDICAL SYSTEMS", "Dose Report"
    for keyword, value in header.items():
        setattr(ds, keyword, value)
    return ds


def test_a_bundled_rule_that_names_no_size_covers_only_what_its_banner_spans(tmp_path: Path) -> None:
    """`Dose Report` of deid.dicom: 0,0,512,110."""
    assert "does not say for which size it is" in why_held(_screen(1024, 1024), tmp_path, **CLEAN)
    assert not result(_screen(512, 512), tmp_path, **CLEAN).pixel_array[:110].any()


@pytest.mark.parametrize(
    ("lines", "covers"),
    [
        (["coordinates 0,0,1,1"], False),
        (["coordinates 0,0,40,30"], False),
        (["coordinates 63,63,200,200"], False),
        (["coordinates 0,0,64,1"], True),
        (["coordinates 0,0,1,64"], True),
        (["+ equals Rows 64", "coordinates 0,0,40,30"], True),
        (["+ equals Columns 64", "coordinates 0,0,40,30"], True),
        (["+ equals Rows 32", "coordinates 0,0,64,30"], False),
        (["+ equals Rows 64 || contains Modality CT", "coordinates 0,0,40,30"], False),
        (["+ notequals Rows 32", "coordinates 0,0,40,30"], False),
        (["coordinates all", "keepcoordinates 5,5,60,60"], True),
        (["coordinates all", "keepcoordinates 0,0,63,64", "keepcoordinates 0,0,64,63"], False),
    ],
)
def test_a_rule_covers_an_image_of_its_size_or_by_a_banner(tmp_path: Path, lines: list[str], covers: bool) -> None:
    options = _site(tmp_path, "contains Modality CT", *lines)
    batch = run(_screen(64, 64, Manufacturer="Nobody"), tmp_path, **options)
    assert bool(batch.items) is covers


def test_a_site_may_say_that_nothing_has_to_go_and_then_nothing_is_claimed(tmp_path: Path) -> None:
    options = _site(tmp_path, "contains Manufacturer Nobody", "keepcoordinates all")
    after = result(us.image(()), tmp_path, **options)
    np.testing.assert_array_equal(after.pixel_array, us.pixels())
    assert after.BurnedInAnnotation == "YES"
    assert "113101" not in _codes(after)


def test_a_whitelist_releases_nothing(tmp_path: Path) -> None:
    options = _site(tmp_path, "contains Manufacturer Nobody", section="whitelist")
    options["pixels"] = PixelOptions(rules=(tmp_path / "site.deid",))
    assert "no rule in this file" in options_problem(options)


def options_problem(options: dict[str, Any]) -> str:
    with pytest.raises(CannotSucceed) as error:
        run(us.image(), Path(options["pixels"].rules[0]).parent, **options)
    return str(error.value)


def test_a_label_without_coordinates_holds_also_what_nothing_else_suspects(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    options = _site(tmp_path, "contains Modality CT", section="blacklist")
    assert "the pixel rule site.deid:3 says so" in why_held(ds, tmp_path, **options)


def test_a_rule_masks_an_image_that_nothing_suspects(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    options = _site(tmp_path, "contains Modality CT", "coordinates 0,0,10,3")
    after = result(ds, tmp_path, **options)
    assert not after.pixel_array[:3].any()
    np.testing.assert_array_equal(after.pixel_array[3:], ds.pixel_array[3:])
    assert after.BurnedInAnnotation == "NO"


@pytest.mark.parametrize("sop_class", [make.SECONDARY_CAPTURE, "1.2.840.10008.5.1.4.1.1.77.1.4.1"])
def test_secondary_captures_and_photographs_wait_until_a_rule_covers_them(tmp_path: Path, sop_class: str) -> None:
    ds = us.image((), SOPClassUID=sop_class, Modality="OT")
    ds.file_meta.MediaStorageSOPClassUID = sop_class
    assert "no pixel rule covers it" in why_held(ds, tmp_path, **CLEAN)
    options = _site(tmp_path, f"equals SOPClassUID {sop_class}", "coordinates 0,0,64,8")
    assert not result(ds, tmp_path, **options).pixel_array[:8].any()


def _document(ds: FileDataset) -> None:
    ds.EncapsulatedDocument = b"%PDF-1.4"


def _report(ds: FileDataset) -> None:
    ds.ContentSequence = [Dataset()]


def _label(ds: FileDataset) -> None:
    ds.SpecimenLabelInImage = "YES"


def _no_rows(ds: FileDataset) -> None:
    del ds.Rows


@pytest.mark.parametrize("change", [_document, _report, _label, _no_rows])
def test_what_no_rectangle_can_clean_is_held_whatever_a_rule_says(tmp_path: Path, change: Any) -> None:
    options = _site(tmp_path, "present Modality", "coordinates all")
    ds = us.image()
    change(ds)
    why_held(ds, tmp_path, **options)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.103", "1.2.840.10008.1.2.4.106.1"])
def test_video_is_held_whatever_a_rule_says(syntax: str) -> None:
    everything = RuleFile((PixelRule(name="", where="", condition=True, cuts=(RuleCut(Area.ALL),)),))
    ds = us.image()
    assert isinstance(us.decided(ds, Cleaning(files=(everything,)), syntax), Refusal)


def test_an_object_without_pixels_goes_on_as_before(tmp_path: Path) -> None:
    ds = make.instance("1.2.840.10008.5.1.4.1.1.481.3")
    ds.Modality = "RTSTRUCT"
    assert "113101" not in _codes(result(ds, tmp_path, **CLEAN))


# ---- encodings -----------------------------------------------------------------------------------------


def _compressed(ds: FileDataset, syntax: str, encode: Any, frames: int) -> FileDataset:
    arrays = ds.pixel_array if frames > 1 else [ds.pixel_array]
    ds.PixelData = encapsulate([bytes(encode(one)) for one in arrays])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


@pytest.mark.parametrize("frames", [1, 3])
def test_a_compressed_image_is_compressed_again_without_loss(tmp_path: Path, frames: int) -> None:
    jpeg_ls = "1.2.840.10008.1.2.4.80"
    ds = _compressed(us.image(frames=frames), jpeg_ls, imagecodecs.jpegls_encode, frames)
    after, pixels = read_header(output(ds, tmp_path, **CLEAN))
    assert after.file_meta.TransferSyntaxUID == jpeg_ls
    assert pixels is not None
    found = np.stack(list(pixels.frames()))
    np.testing.assert_array_equal(found[:, us.KEPT], np.reshape(us.pixels(frames), found.shape)[:, us.KEPT])
    assert not found[:, ~us.KEPT].any()


def test_a_lossy_image_says_so_afterwards(tmp_path: Path) -> None:
    baseline = "1.2.840.10008.1.2.4.50"
    ds = _compressed(us.image(colour=True), baseline, imagecodecs.jpeg8_encode, 1)
    ds.PhotometricInterpretation = "YBR_FULL_422"
    after, pixels = read_header(output(ds, tmp_path, **CLEAN))
    assert (after.LossyImageCompression, after.PhotometricInterpretation) == ("01", "RGB")
    assert after.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.70", "it loses no more"
    assert pixels is not None
    assert not next(iter(pixels.frames()))[~us.KEPT].any()


def test_a_frame_that_cannot_be_decoded_holds_the_image_and_leaves_nothing(tmp_path: Path) -> None:
    ds = _compressed(us.image(), "1.2.840.10008.1.2.4.80", lambda a: b"\xff\xd8\xff\xd9", 1)
    assert "its pixels cannot be cleaned" in why_held(ds, tmp_path, **CLEAN)


def test_the_output_is_the_same_twice(tmp_path: Path) -> None:
    first = output(us.image(frames=2), tmp_path, **CLEAN)
    before = first.read_bytes()
    assert output(tmp_path / "in.dcm", tmp_path, **CLEAN).read_bytes() == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["in.dcm"]


# ---- overlays and graphics -----------------------------------------------------------------------------


def test_overlays_within_the_pixels_are_cleared_and_planes_of_their_own_removed(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    values = (ds.pixel_array.astype(np.uint16) & 0x0FFF).astype(np.uint16)
    make.set_pixels(ds, values | np.uint16(0x8000), bits_stored=12)
    for tag, value in ((0x60000010, 12), (0x60000011, 10), (0x60000100, 16), (0x60000102, 15)):
        ds.add_new(tag, "US", value)
    ds.add_new(0x60003000 + 0x20000, "OW", bytes(16))
    assert "overlay" in why_held(ds, tmp_path)
    after = result(ds, tmp_path, **CLEAN)
    stored = np.frombuffer(after.PixelData, "<u2").reshape(values.shape)
    np.testing.assert_array_equal(stored, values)
    assert not [element for element in after if element.tag.group >> 8 == 0x60]
    assert "113101" not in _codes(after)


@pytest.mark.parametrize(("bit", "stored"), [(11, 12), (None, 12), (15, 16)])
def test_an_overlay_in_bits_that_values_use_is_held(tmp_path: Path, bit: int | None, stored: int) -> None:
    ds = make.ct_series(1)[0]
    make.set_pixels(ds, ds.pixel_array & 0x0FFF, bits_stored=stored)
    ds.add_new(0x60000010, "US", 12)
    if bit is not None:
        ds.add_new(0x60000102, "US", bit)
    assert "overlay is stored within its pixel data" in why_held(ds, tmp_path, **CLEAN)


# ---- what the output says ------------------------------------------------------------------------------


def test_what_was_done_is_said_of_the_image_to_which_it_was_done(tmp_path: Path) -> None:
    ds = us.image(RecognizableVisualFeatures="YES")
    after = result(ds, tmp_path, options=("clean_pixel_data", "retain_uids"))
    assert after.BurnedInAnnotation == "NO"
    assert after.RecognizableVisualFeatures == "YES"
    assert _codes(after) == ["113100", "113101", "113110"]
    assert list(after.DeidentificationMethod)[1:] == ["retain_uids", "clean_pixel_data"]


def test_an_image_to_which_nothing_was_done_claims_nothing(tmp_path: Path) -> None:
    plain = result(make.ct_series(1)[0], tmp_path, **CLEAN)
    assert _codes(plain) == ["113100"]
    assert "BurnedInAnnotation" not in plain
    assert "clean_pixel_data" not in str(plain.DeidentificationMethod)
    ds = make.ct_series(1)[0]
    ds.BurnedInAnnotation, ds.RecognizableVisualFeatures = "NO", "NO"
    after = result(ds, tmp_path, **CLEAN)
    assert (after.BurnedInAnnotation, after.RecognizableVisualFeatures) == ("NO", "NO")


def test_a_sites_rules_are_named_by_their_hash(tmp_path: Path) -> None:
    options = _site(tmp_path, "contains Manufacturer Nobody", "coordinates 0,0,64,8")
    after = result(us.image(()), tmp_path, **options)
    digest = pixel_rules.load(tmp_path / "site.deid")[0].digest
    assert list(after.DeidentificationMethod)[-1] == f"pixel rules {digest}"
    assert all(len(value) <= 64 for value in after.DeidentificationMethod)
    other = result(us.image(Manufacturer="Somebody"), tmp_path, **options)
    assert list(other.DeidentificationMethod)[-1] == "clean_pixel_data", "no rule of the site had to do with this one"


def test_a_recipe_that_keeps_more_than_the_profile_claims_no_code(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe"
    recipe.write_text("FORMAT dicom\n%header\nKEEP StudyDescription\n")
    after = result(us.image(), tmp_path, **CLEAN, recipe=recipe)
    assert "DeidentificationMethodCodeSequence" not in after
    assert after.BurnedInAnnotation == "NO"


def test_the_history_counts_the_images_that_were_cleaned(tmp_path: Path) -> None:
    from node.steps.anonymize import Anonymize
    from tests.steps.anonymize.driver import SECRET
    from tests.steps.run_step import RealWork, batch_of

    paths = [make.write(us.image(), tmp_path / "us.dcm"), make.write(make.ct_series(1)[0], tmp_path / "ct.dcm")]
    (tmp_path / "out").mkdir()
    work = RealWork(tmp_path / "out", {"secret": SECRET})
    Anonymize(options=("clean_pixel_data",)).run(batch_of(paths), work)
    assert work.notes == ["2 de-identified", "1 with pixels cleaned"]


def test_the_account_says_in_which_images_text_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Nothing:
        def boxes(self, picture: Any) -> list[Rectangle]:
            return []

    monkeypatch.setattr("node.imaging.ocr.is_installed", lambda: True)
    monkeypatch.setattr("node.imaging.ocr.rapid_ocr", Nothing)
    options = {**CLEAN, "pixels": PixelOptions(ocr="suspected")}
    for ds, looked in ((us.image(), True), (make.ct_series(1)[0], False), (_unlisted(), True)):
        item = run(ds, tmp_path, **options).items[0]
        assert ('"text":"looked for"' in str(item.account)) is looked


def _unlisted() -> FileDataset:
    """Of no known kind: a detector that has looked lets it pass, and nothing else does."""
    ds = make.ct_series(1)[0]
    ds.Modality = "DG"
    return ds


def test_what_is_of_no_known_kind_waits_where_nothing_looks(tmp_path: Path) -> None:
    assert "no kind that is known" in why_held(_unlisted(), tmp_path, **CLEAN)
    assert "no kind that is known" in why_held(_unlisted(), tmp_path)
