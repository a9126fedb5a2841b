"""deid's filters as our rules: the same labels as deid's own parser, and the same images as its detector."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from deid.config import DeidRecipe
from deid.logger import bot
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import FileDataset

from node.imaging.mask import Rectangle, mask_of
from node.steps.anonymize.deid_filter import is_one, parse
from node.steps.anonymize.device import Both, Condition, Either, Says, holds, texts_of
from node.steps.anonymize.pixel_rules import Area, PixelRule, RuleCut, RuleFile, bundled, match
from node.steps.anonymize.plain import Plain
from tests import make
from tests.steps.anonymize.ultrasound import received

bot.level = 0
_DATA = Path(__import__("deid").__file__).parent / "data"


def rules(text: str) -> tuple[PixelRule, ...]:
    found, problems = parse("FORMAT dicom\n%filter graylist\n" + text, "a.deid")
    assert not problems
    return found


def problems(text: str) -> list[tuple[int, str]]:
    return parse("FORMAT dicom\n%filter graylist\n" + text, "a.deid")[1]


def test_a_label_its_conditions_and_its_rectangles() -> None:
    (rule,) = rules(
        "LABEL Dose # (CTP)\n  contains Modality CT\n  + equals Rows 512 || equals Rows 480\n"
        "  coordinates 0,0,512,110\n  ctpcoordinates 10, 20, 30, 40\n  keepcoordinates all\n"
    )
    assert (rule.name, rule.where) == ("Dose", "a.deid:3")
    assert rule.condition == Both(
        Says((0x00080060,), "deid contains", "CT"),
        Either(Says((0x00280010,), "deid equals", "512"), Says((0x00280010,), "deid equals", "480")),
    )
    assert rule.cuts == (
        RuleCut(Rectangle(0, 0, 512, 110)), RuleCut(Rectangle(10, 20, 40, 60)), RuleCut(Area.ALL, keep=True),
    )  # fmt: skip


def test_lines_are_joined_from_left_to_right() -> None:
    (rule,) = rules("LABEL a\ncontains Modality CT\n|| contains Modality MR\n+ missing Rows\nempty Columns\n")
    assert isinstance(rule.condition, Both)
    assert isinstance(rule.condition.left, Both)
    assert isinstance(rule.condition.left.left, Either)


def test_a_label_without_a_condition_means_every_image() -> None:
    blank, regions = parse((_DATA / "deid.dicom.ultrasound").read_text(), "us")[0]
    assert (blank.condition, blank.cuts) == (True, (RuleCut(Area.ALL),))
    assert regions.cuts == (RuleCut(Area.REGIONS, keep=True),)


def test_a_label_without_coordinates_holds_but_in_a_whitelist() -> None:
    text = "FORMAT dicom\n%filter {}\nLABEL a\ncontains Modality OT\n%header\nREMOVE PatientName\n"
    assert [rule.cuts for rule in parse(text.format("blacklist"), "a")[0]] == [()]
    assert parse(text.format("whitelist"), "a") == ((), [])


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("contains Modality CT\n", 3, "before its LABEL"),
        ("LABEL a\ncontain Modality CT\n", 4, 'Did you mean "contains"'),
        ("LABEL a\ncontains Modaliti CT\n", 4, 'Did you mean "Modality"'),
        ("LABEL a\ncontains Modality\n", 4, "takes an attribute and a value"),
        ("LABEL a\nmissing Modality CT\n", 4, "takes an attribute"),
        ("LABEL a\ncontains Modality (\n", 4, "no regular expression"),
        ("LABEL a\ncoordinates 1,2,3\n", 4, "four whole numbers"),
        ("LABEL a\ncoordinates 1,2,-3,4\n", 4, "four whole numbers"),
        ("LABEL a\ncoordinates 10,0,5,5\n", 4, "must not be less"),
        ("LABEL a\ncoordinates from:Rows\n", 4, "from no attribute but"),
        ("LABEL a\nctpcoordinates from:SequenceOfUltrasoundRegions\n", 4, "from no attribute but"),
        ("LABEL a\nLABEL b\nequals Rows 5\n", 3, 'label "a" says nothing'),
        ("%filter\nLABEL b\nequals Rows 5\n", 3, "needs a name"),
    ],
)
def test_what_is_not_understood_is_a_problem_with_its_line(text: str, line: int, why: str) -> None:
    found = problems(text)
    assert [number for number, _ in found] == [line]
    assert why in found[0][1]


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (
            "FORMAT dicom\n%fliter a\nLABEL a\ncoordinates all\n",
            2,
            'unknown section "%fliter". Did you mean "%filter"?',
        ),
        ("FORMAT dicom\nfilter a\n%filter b\nLABEL a\ncoordinates all\n", 2, "before any section"),
        ("LABEL a\n\nFORMAT dicom\n%filter b\nLABEL a\ncoordinates all\n", 1, "before any section"),
    ],
)
def test_what_stands_in_no_section_that_is_known_is_a_problem(text: str, line: int, why: str) -> None:
    (found,) = parse(text, "a")[1]
    assert (found[0], why in found[1]) == (line, True)


def test_a_label_with_a_problem_is_no_rule() -> None:
    found, _ = parse("FORMAT dicom\n%filter a\nLABEL a\nnothing\ncoordinates all\nLABEL b\ncoordinates all\n", "a")
    assert [rule.name for rule in found] == ["b"]


@given(text=st.text())
def test_any_text_is_rules_or_problems(text: str) -> None:
    parse(text, "a")
    parse("FORMAT dicom\n%filter a\nLABEL b\n" + text, "a")
    is_one(text)


# ---- beside deid ---------------------------------------------------------------------------------------


def _tests(condition: Condition) -> list[Says]:
    match condition:
        case Both(left, right) | Either(left, right):
            return [*_tests(left), *_tests(right)]
        case Says():
            return [condition]
    return []


def _by_deid(path: Path) -> list[dict[str, Any]]:
    return [label for section in DeidRecipe(deid=str(path)).get_filters().values() for label in section]


_UNKNOWN = ("Manfacturer", "Manufacture")


@pytest.mark.parametrize("name", ["deid.dicom", "deid.dicom.ultrasound", "deid.dicom.xray.chest"])
def test_the_files_that_deid_ships_are_read_as_deid_reads_them(name: str) -> None:
    text = (_DATA / name).read_text()
    ours, found = parse(text, name)
    assert all('unknown attribute "Man' in problem for _, problem in found)
    theirs = [
        label for section, labels in DeidRecipe(deid=str(_DATA / name)).get_filters().items() for label in labels
        if (section != "whitelist" or label["coordinates"])
        and not any(field in _UNKNOWN for group in label["filters"] for field in group["field"])
    ]  # fmt: skip
    # deid keeps a section's labels together, as these files have them.
    assert [rule.name for rule in ours] == [re.sub(r"^LABEL\s*", "", label["name"]).strip() for label in theirs]
    for rule, label in zip(ours, theirs, strict=True):
        asked = [(test.method.removeprefix("deid "), test.argument) for test in _tests(rule.condition)]
        known = [
            (action, value)
            for group in label["filters"]
            for action, value in zip(group["action"], [*group["value"], *[""] * 9], strict=False)
        ]
        if "missing" not in dict(known) and "empty" not in dict(known):  # deid gives values to the wrong ones there
            assert asked == known
        assert len(asked) == len(known)
        assert [cut.keep for cut in rule.cuts] == [bool(keep) for keep, _ in label["coordinates"]]
        for cut, (_, area) in zip(rule.cuts, label["coordinates"], strict=True):
            if isinstance(cut.area, Rectangle):
                corners = [cut.area.left, cut.area.top, cut.area.right, cut.area.bottom]
                assert corners == [int(number) for number in area.split(",")]


_VALUES = {
    "Modality": ["CT", "US", "NM", "MR", "PT"],
    "Manufacturer": ["GE MEDICAL SYSTEMS", "SIEMENS", "Philips Medical Systems", "ACUSON", "TOSHIBA", "MINDRAY"],
    "ManufacturerModelName": ["LOGIQE9", "iU22", "S2000", "ACUSON", "EPIQ 7G", "LightSpeed VCT", "M7", "SEQUOIA"],
    "SeriesDescription": ["Dose Report", "Localizer", "AVA Report", "x"],
    "BurnedInAnnotation": ["YES", "NO"],
}
_HEADERS = st.fixed_dictionaries(
    {},
    optional={
        **{keyword: st.sampled_from(values) for keyword, values in _VALUES.items()},
        "Rows": st.sampled_from([480, 512, 600, 768, 860, 1024]),
        "Columns": st.sampled_from([512, 640, 800, 1024]),
        "ImageType": st.lists(
            st.sampled_from(["ORIGINAL", "SECONDARY", "SCREEN SAVE", "VOLREN", "DOSE"]), min_size=2, max_size=3
        ),
    },
)


def _image(header: dict[str, Any]) -> FileDataset:
    ds = make.instance()
    del ds.Modality, ds.SeriesDescription
    for keyword, value in header.items():
        setattr(ds, keyword, value)
    return ds


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None)
@given(header=_HEADERS)
def test_an_image_gets_the_rectangles_that_deid_gives_it(header: dict[str, Any]) -> None:
    from deid.dicom.pixels.detect import has_burned_pixels

    ds = _image(header)
    found = has_burned_pixels(ds, deid=_RECIPE)["results"]
    theirs = [list(map(int, area.split(","))) for result in found for _, area in result["coordinates"]]
    (layer,) = match([bundled()], texts_of(Plain(received(ds))), ()).layers or ((),)
    ours = [[c.area.left, c.area.top, c.area.right, c.area.bottom] for c in layer if c.area is not None]
    assert ours == theirs


@given(areas=st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), max_size=6))  # fmt: skip  # noqa: E501
def test_areas_lie_over_each_other_as_in_deid(areas: list[tuple[bool, int, int, int, int]]) -> None:
    lines = [f"{'keep' if keep else ''}coordinates {x},{y},{x + w},{y + h}" for keep, x, y, w, h in areas]
    (rule,) = rules("LABEL a\n" + "\n".join(["present Rows", *lines]) + "\n")
    layers = match([RuleFile((rule,))], lambda path: ("1",), ()).layers
    deid_mask = [[1] * 12 for _ in range(11)]
    for keep, x, y, w, h in areas:  # deid/dicom/pixels/clean.py: mask[minc:maxc, minr:maxr] = value
        for row in deid_mask[y : y + h]:
            row[x : x + w] = [int(keep)] * len(row[x : x + w])
    mask = mask_of([cut for layer in layers for cut in layer], 11, 12)
    assert (~mask).astype(int).tolist() == deid_mask


_RECIPE = DeidRecipe(deid=str(_DATA / "deid.dicom"))


def test_every_bundled_rule_has_a_rectangle_and_its_place() -> None:
    assert len(bundled().rules) == 102
    assert all(rule.cuts and re.fullmatch(r"deid\.dicom:\d+", rule.where) for rule in bundled().rules)


@pytest.mark.parametrize("implicit", [True, False])
def test_holding_rules_are_looked_at_by_what_they_say(implicit: bool) -> None:
    (rule,) = rules("LABEL a\nequals Rows 5\n")
    assert holds(rule.condition, lambda path: ("5",) if implicit else ("6",)) is implicit
