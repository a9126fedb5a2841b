"""Rules of several files together, and the files they come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.imaging.mask import Cut, Rectangle
from node.steps.anonymize import pixel_rules
from node.steps.anonymize.device import Says
from node.steps.anonymize.pixel_rules import Area, Matched, PixelRule, RuleBook, RuleCut, RuleFile, load, match

_TOP, _SIDE = Rectangle(0, 0, 640, 30), Rectangle(0, 0, 20, 480)
_REGION = Rectangle(10, 40, 600, 400)


def _rule(name: str, *cuts: RuleCut, means: bool = True) -> PixelRule:
    return PixelRule(name=name, where=f"{name}:1", condition=means, cuts=cuts)


def _matched(*files: RuleFile) -> Matched:
    return match(files, lambda path: None, (_REGION,))


def test_of_every_file_all_rules_that_mean_the_image_are_one_layer() -> None:
    first = RuleFile((_rule("a", RuleCut(_TOP)), _rule("b", RuleCut(_SIDE), means=False), _rule("c", RuleCut(_SIDE))))
    second = RuleFile((_rule("d", RuleCut(Area.ALL), RuleCut(Area.REGIONS, keep=True)),))
    found = _matched(first, second, RuleFile((_rule("e", RuleCut(_TOP), means=False),)))
    assert found.layers == ((Cut(_TOP), Cut(_SIDE)), (Cut(None), Cut(_REGION, keep=True)))
    assert [rule.name for rule in found.rules] == ["a", "c", "d"]
    assert not found.releases


def test_nothing_is_said_of_an_image_that_no_rule_means() -> None:
    assert _matched(RuleFile((_rule("a", RuleCut(_TOP), means=False),))) == Matched()


def test_a_rule_without_an_area_holds_whatever_others_say() -> None:
    found = _matched(RuleFile((_rule("a", RuleCut(_TOP)),)), RuleFile((_rule("holds"),)))
    assert found.held_by is not None
    assert (found.held_by.name, found.layers) == ("holds", ())


def test_to_give_all_back_releases_and_to_give_some_back_does_not() -> None:
    assert _matched(RuleFile((_rule("a", RuleCut(Area.ALL, keep=True)),))).releases
    assert not _matched(RuleFile((_rule("a", RuleCut(_TOP, keep=True)),))).releases


def test_both_kinds_of_files_are_told_apart(tmp_path: Path) -> None:
    deid, ctp = tmp_path / "deid.us", tmp_path / "ctp.script"
    deid.write_text("FORMAT dicom\n%filter graylist\nLABEL a\nequals Rows 5\ncoordinates 0,0,5,5\n")
    ctp.write_text('words { Rows.equals("5") } (0,0,5,5)')
    (one, no_problems), (other, none_either) = load(deid), load(ctp)
    assert (no_problems, none_either) == ((), ())
    assert [rule.cuts for rule in (*one.rules, *other.rules)] == [(RuleCut(Rectangle(0, 0, 5, 5)),)] * 2
    assert one.digest != other.digest
    assert len(one.digest) == 12


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nothing of either kind", "neither a deid filter"),
        ("FORMAT dicom\n%header\nREMOVE PatientName\n", "no rule in this file"),
        ("FORMAT dicom\n%filter a\nLABEL a\nnonsense\n", "a.txt:4: unknown filter"),
        ("one\n{ nonsense } (0,0,1,1)", 'a.txt:2: unknown attribute "nonsense"'),
        (b"\xff\xfe\x00", "cannot be read (UnicodeDecodeError)"),
        (None, "cannot be read (FileNotFoundError)"),
    ],
)
def test_a_file_that_is_not_understood_says_where(tmp_path: Path, text: str | bytes | None, why: str) -> None:
    path = tmp_path / "a.txt"
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    rules, problems = load(path)
    assert not rules.rules
    assert len(problems) == 1
    assert why in problems[0]


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.script"
    for rows in ("5", "6"):
        path.write_text(f'{{ Rows.equals("{rows}") }} (0,0,5,5)')
        assert rows in load(path)[0].rules[0].name


def test_the_bundled_rules_hold_nothing() -> None:
    assert all(rule.cuts for rule in pixel_rules.bundled().rules)
    assert pixel_rules.bundled().digest == ""


def test_a_book_asks_its_rules_once_for_images_that_answer_alike() -> None:
    rows = Says((0x00280010,), "deid equals", "5")
    book = RuleBook((RuleFile((PixelRule(name="", where="", condition=rows, cuts=(RuleCut(_TOP),)),)),))
    asked = []

    def texts(path: tuple[int, ...]) -> tuple[str, ...]:
        asked.append(path)
        return ("5",)

    first = book.match(texts, ())
    assert first.layers == ((Cut(_TOP),),)
    assert book.match(texts, ()) is first
    assert len(asked) == 3, "the answers twice, and the condition once"
    assert not book.match(lambda path: ("6",), ()).rules
    assert book.match(texts, (_REGION,)) is not first


def test_a_book_forgets_before_it_grows_without_end() -> None:
    rows = Says((0x00280010,), "deid equals", "5")
    book = RuleBook((RuleFile((PixelRule(name="", where="", condition=rows, cuts=(RuleCut(_TOP),)),)),))
    for number in range(3000):
        assert bool(book.match(lambda path, n=number: (str(n),), ()).rules) is (number == 5)  # type: ignore[misc]  # bound
    assert len(book._known) <= 1024
