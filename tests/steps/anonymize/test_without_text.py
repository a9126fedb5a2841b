"""An image passes when it is of a kind that is known to come without text, and looks like one of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.steps.anonymize.burned_in import Facts, burned_in, suspected, unlisted
from node.steps.anonymize.without_text import STORAGE
from tests import make
from tests.data import real_folders
from tests.steps.anonymize.driver import output, why_held

_PRIMARY = ("ORIGINAL", "PRIMARY")


def of(below: str, modality: str, *image_type: str, **more: object) -> Facts:
    made = Facts(
        sop_class=STORAGE + below, transfer_syntax="1.2.840.10008.1.2.1", modality=modality, burned_in_annotation="",
        image_type=image_type or _PRIMARY, has_pixels=True,
    )  # fmt: skip
    return replace(made, **more)  # type: ignore[arg-type]


KNOWN = [
    ("1", "CR"), ("1", "DX"), ("1.1", "DX"), ("1.1.1", "DX"), ("1.2", "MG"), ("13.1.3", "MG"), ("2", "CT"),
    ("2.1", "CT"), ("4", "MR"), ("4.1", "MR"), ("20", "NM"), ("128", "PT"), ("130", "PT"), ("481.1", "RTIMAGE"),
    ("481.2", "RTDOSE"), ("66.4", "SEG"), ("30", "MR"), ("30", "OT"),
]  # fmt: skip


@pytest.mark.parametrize(("below", "modality"), KNOWN)
def test_kinds_that_are_known_pass(below: str, modality: str) -> None:
    assert burned_in(of(below, modality)) is None
    assert burned_in(of(below, modality, grey=False)) is not None, "in colour they are drawn"


@pytest.mark.parametrize(
    ("below", "modality"),
    [
        ("77.1.5.1", "OP"), ("77.1.5.4", "OPT"), ("1", "BMD"), ("1.1", "BMD"), ("1.1", "PX"), ("1.3", "IO"),
        ("77.1.2", "GM"), ("1", "DG"), ("1", "DF"), ("2", "DS"), ("999.1", "QQ"), ("1", "ECG"), ("2", "MR"),
        ("4", "CT"), ("77.1.6", "SM"), ("13.1.1", "CT"), ("13.1.2", "DX"), ("14.1", "IVOCT"), ("4.3", "MR"),
    ],
)  # fmt: skip
def test_others_wait_though_nothing_speaks_against_them(below: str, modality: str) -> None:
    assert burned_in(of(below, modality))


@given(
    below=st.from_regex(r"[1-9]\d{0,2}(\.\d{1,2}){0,3}", fullmatch=True),
    modality=st.text("ABCDEFGMNOPRSTX", max_size=7),
)
def test_whatever_is_on_no_list_waits(below: str, modality: str) -> None:
    also = [
        ("1", "MG"),
        ("1.1", "CR"),
        ("1.1.1", "CR"),
        ("1.2.1", "MG"),
        ("13.1.4", "MG"),
        ("13.1.5", "MG"),
        ("2.2", "CT"),
        ("4.4", "MR"),
        ("128.1", "PT"),
        ("66.7", "SEG"),
        ("30", "CT"),
        ("30", "PT"),
        ("30", "NM"),
    ]
    assert (burned_in(of(below, modality)) is None) is ((below, modality) in [*KNOWN, *also])


def test_an_object_without_pixels_is_of_no_kind_that_has_to_be_known() -> None:
    assert burned_in(of("481.3", "RTSTRUCT", has_pixels=False)) is None
    assert burned_in(of("999.1", "QQ", has_pixels=False)) is None


# ---- screens within classes of slices and projections --------------------------------------------------


@pytest.mark.parametrize(
    "facts",
    [
        of("2", "CT", "DERIVED", "SECONDARY", "SCREEN SAVE", placed=True),
        of("2", "CT", "DERIVED", "SECONDARY", "OTHER", "CSA REPORT", placed=True),
        of("2", "CT", "ORIGINAL", "PRIMARY", "DOSE_INFO"),
        of("2", "CT", "DERIVED", "SECONDARY", "OTHER"),
        of("2", "CT", "DERIVED", "SECONDARY", "OTHER", placed=True, stored=8),
        of("4", "MR", "ORIGINAL", "PRIMARY", stored=8),
        of("4", "MR", ""),
        of("2", "CT", grey=False, placed=True),
        of("2", "CT", captured=True, placed=True),
        of("4.1", "MR", captured=True),
        of("1", "CR", captured=True),
    ],
)
def test_what_looks_like_a_screen_waits_for_a_rule_also_where_it_says_no(facts: Facts) -> None:
    assert suspected(facts)
    assert suspected(replace(facts, burned_in_annotation="NO"))


@pytest.mark.parametrize(
    "facts",
    [
        of("2", "CT", "DERIVED", "SECONDARY", "MPR", placed=True),
        of("2", "CT", "ORIGINAL", "SECONDARY", "AXIAL", placed=True),
        of("2", "CT", "DERIVED", "PRIMARY", "AXIAL", stored=8, placed=True),
        of("2", "CT", "ORIGINAL", "PRIMARY", "LOCALIZER"),
        of("4", "MR", "", placed=True),
        of("20", "NM", "ORIGINAL", "PRIMARY", "STATIC", "EMISSION", stored=8),
        of("1", "CR", ""),
    ],
)
def test_reformatted_slices_and_counts_of_8_bits_are_no_screens(facts: Facts) -> None:
    assert burned_in(facts) is None


@pytest.mark.parametrize(
    "facts",
    [
        of("77.1.5.1", "OP", grey=False),
        of("77.1.5.4", "OPT"),
        of("1.1", "PX"),
        of("1.3", "IO"),
        of("1", "CR", stored=8),
        of("1", "CR", "DERIVED", "SECONDARY"),
        of("20", "NM", "DERIVED", "SECONDARY"),
        of("4.1", "MR", "DERIVED", "SECONDARY"),
        of("4.3", "MR", grey=False),
        of("77.1.6", "SM", "DERIVED", "PRIMARY", "THUMBNAIL", grey=False),
    ],
)
def test_burned_in_annotation_no_is_believed_where_devices_have_to_say_it(facts: Facts) -> None:
    assert unlisted(facts)
    assert burned_in(replace(facts, burned_in_annotation="NO")) is None
    assert burned_in(replace(facts, burned_in_annotation="YES"))


@pytest.mark.parametrize(
    "facts", [of("999.1", "MR"), of("77.1.2", "GM"), of("1", "DG"), of("1", "BMD"), of("7", "CT"), of("6.1", "US")]
)
def test_and_not_where_nobody_knows_who_says_it(facts: Facts) -> None:
    assert burned_in(replace(facts, burned_in_annotation="NO"))


def test_a_whole_slide_passes_by_its_tissue_and_not_by_its_label() -> None:
    assert burned_in(of("77.1.6", "SM", "DERIVED", "PRIMARY", "VOLUME", "NONE", grey=False)) is None
    for flavour in ("LABEL", "OVERVIEW"):
        assert suspected(of("77.1.6", "SM", "ORIGINAL", "PRIMARY", flavour, grey=False, burned_in_annotation="NO"))


# ---- from files ----------------------------------------------------------------------------------------


def test_a_screen_in_the_class_of_ct_is_seen_from_its_file(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    output(ds, tmp_path)
    ds.ConversionType = "WSD"
    assert "secondary capture" in why_held(ds, tmp_path)
    ds.ConversionType, ds.ImageType = "", ["DERIVED", "SECONDARY"]
    output(ds, tmp_path)
    del ds.ImagePositionPatient
    assert "no place in the patient" in why_held(ds, tmp_path)
    colour = make.ct_series(1)[0]
    make.set_pixels(colour, np.zeros((8, 8, 3), np.uint8))
    assert "has colour" in why_held(colour, tmp_path)


@pytest.mark.parametrize("folder", real_folders(), ids=lambda folder: folder.name)
def test_images_of_devices_pass_but_for_captures_ultrasound_and_reports(folder: Path, tmp_path: Path) -> None:
    path = next(path for path in sorted(folder.rglob("*")) if path.is_file())
    if folder.name == "rgb_series":
        assert "secondary capture" in why_held(path, tmp_path)
    else:
        output(path, tmp_path)
