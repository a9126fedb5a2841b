"""A class that a site has looked at means what it names, and what is written wrongly is said at its place."""

from __future__ import annotations

import pytest

from node.steps.anonymize.device import texts_of
from node.steps.anonymize.plain import Plain
from node.steps.anonymize.reviewed import Written, compile_reviewed, digest
from tests import make
from tests.steps.anonymize.driver import reread


def means(written: Written, **said: str) -> bool:
    ds = make.ct_series(1)[0]
    for keyword, value in said.items():
        setattr(ds, keyword, value)
    (one,), problems = compile_reviewed([written])
    assert not problems
    return one.means(texts_of(Plain(reread(ds))))


def test_it_means_what_has_all_that_it_names() -> None:
    written = {"Modality": ["CT", "MR"], "StationName": "ct-abd*"}
    assert means(written, StationName="CT-ABD-2")
    assert not means(written, StationName="CT-HEAD")
    assert not means(written, StationName="CT-ABD-2", Modality="NM")


def test_what_is_absent_or_empty_is_no_evidence() -> None:
    assert not means({"Modality": "CT", "StationName": "C*"})
    assert not means({"Modality": "CT", "StationName": "CT*"}, StationName="")


def test_of_several_values_each_has_to_be_as_it_says() -> None:
    written = {"Modality": "CT", "ImageType": ["DERIVED", "SECONDARY", "DEFACED"]}
    assert means(written, ImageType="DERIVED\\SECONDARY\\DEFACED")
    assert not means(written, ImageType="DERIVED\\SECONDARY\\AXIAL")


def test_what_says_that_it_shows_a_face_is_meant_only_where_the_class_says_so() -> None:
    assert not means({"Modality": "CT"}, RecognizableVisualFeatures="YES")
    assert means({"Modality": "CT", "RecognizableVisualFeatures": "YES"}, RecognizableVisualFeatures="YES")
    assert not means({"Modality": "CT", "RecognizableVisualFeatures": "NO"}, RecognizableVisualFeatures="YES")


@pytest.mark.parametrize(
    ("written", "place", "said"),
    [
        ({"Modality": "CT", "StationNam": "x"}, ("reviewed", 0, "StationNam"), 'Did you mean "StationName"?'),
        ({"StationName": "x"}, ("reviewed", 0), "names Modality or SOPClassUID"),
        ({}, ("reviewed", 0), "names Modality or SOPClassUID"),
        ({"Modality": "*"}, ("reviewed", 0, "Modality"), "* alone means all"),
        ({"Modality": []}, ("reviewed", 0, "Modality"), "* alone means all"),
        ({"Modality": "CT", "PixelData": "x"}, ("reviewed", 0, "PixelData"), "no text or number"),
        ({"Modality": "CT", "AnatomicRegionSequence": "x"}, ("reviewed", 0, "AnatomicRegionSequence"), "no text"),
        (
            {"Modality": "CT", "RecognizableVisualFeatures": "False"},
            ("reviewed", 0, "RecognizableVisualFeatures"),
            "YES or NO",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(written: Written, place: tuple[str | int, ...], said: str) -> None:
    problem = compile_reviewed([written])[1][0]
    assert (problem.loc, said in problem) == (place, True)


def test_the_digest_is_of_what_is_written() -> None:
    one = digest([{"Modality": "CT"}])
    assert len(one) == 12
    assert one != digest([{"Modality": "MR"}])
    assert digest([]) == ""
