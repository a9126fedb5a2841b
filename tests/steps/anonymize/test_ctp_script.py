"""CTP's pixel scripts as our rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.imaging.mask import Rectangle
from node.steps.anonymize.ctp_script import parse
from node.steps.anonymize.device import Both, Condition, Either, Not, Says, holds
from node.steps.anonymize.pixel_rules import RuleCut

_TAGS = {"Modality": 0x00080060, "Manufacturer": 0x00080070, "Rows": 0x00280010}
_CT = Says((0x00080060,), "equals", "CT")
_GE = Says((0x00080070,), "containsIgnoreCase", "ge")
_BIG = Says((0x00280010,), "isGreaterThan", "512")


def one(script: str) -> Condition:
    (rule,), problems = parse(script, "a.script")
    assert not problems
    return rule.condition


def test_a_script_of_two_signatures_with_words_around() -> None:
    script = (
        "Burned-in Annotation Library (see the wiki)\n\nGE\n\n CT Dose Series (all models)\n"
        '  { Modality.equals("CT") *\n    Manufacturer.containsIgnoreCase("ge") }\n  (0,0,512,200)   (390, 80,122,15)\n'
        ' Overlay\n  { [0028,0010].isGreaterThan("512") } // a remark\n  (1,2,3,4)\n'
    )
    rules, problems = parse(script, "a.script")
    assert not problems
    assert [rule.where for rule in rules] == ["a.script:6", "a.script:10"]
    assert rules[0].condition == Both(_CT, _GE)
    assert rules[0].cuts == (RuleCut(Rectangle(0, 0, 512, 200)), RuleCut(Rectangle(390, 80, 512, 95)))
    assert rules[1].condition == _BIG
    assert rules[1].cuts == (RuleCut(Rectangle(1, 2, 4, 6)),)


@pytest.mark.parametrize(
    ("signature", "condition"),
    [
        ("C + G * B", Either(_CT, Both(_GE, _BIG))),
        ("C * G + B", Either(Both(_CT, _GE), _BIG)),
        ("(C + G) * B", Both(Either(_CT, _GE), _BIG)),
        ("!C * G", Both(Not(_CT), _GE)),
        ("!(C * G)", Not(Both(_CT, _GE))),
        ("!!C", Not(Not(_CT))),
        ("C + G + B", Either(Either(_CT, _GE), _BIG)),
        ("true. * C", Both(True, _CT)),
        ("false.", False),
    ],
)
def test_not_binds_before_and_and_and_before_or(signature: str, condition: Condition) -> None:
    written = (
        signature.replace("C", 'Modality.equals("CT")')
        .replace("G", 'Manufacturer.containsIgnoreCase("ge")')
        .replace("B", 'Rows.isGreaterThan ( "512" )')
    )
    assert one(f"{{ {written} }} (0,0,1,1)") == condition


def test_a_chain_means_an_attribute_of_the_first_item() -> None:
    condition = one('{ SeqOfUltrasoundRegions::[0018,601A].equals("0") } (0,0,1,1)')
    assert condition == Says((0x00186011, 0x0018601A), "equals", "0")


@pytest.mark.parametrize(
    ("script", "line", "why"),
    [
        ('{ Modality.equals("CT") }\n', 1, "without a region"),
        ('{ Modality.equals("CT") }\n(0,0,512)', 2, "(left,top,width,height)"),
        ('{ Modality.equals("CT") }\n(0,0,512,-1)', 2, "(left,top,width,height)"),
        ('{\n Modaliti.equals("CT") } (0,0,1,1)', 2, 'Did you mean "Modality"'),
        ('{\n Modality.equal("CT") } (0,0,1,1)', 2, 'unknown method "equal"'),
        ('{ Modality.matches("(") } (0,0,1,1)', 1, "no regular expression"),
        ("{ Modality.equals(CT) } (0,0,1,1)", 1, "a text in quotes is expected"),
        ('{ Modality.equals("CT") Rows.equals("5") } (0,0,1,1)', 1, "is expected"),
        ('{ Modality.equals("CT") * } (0,0,1,1)', 1, "ends too early"),
        ('{ Modality.equals("CT } (0,0,1,1)', 1, "not understood"),
        ('{ Modality.equals("CT" } (0,0,1,1)', 1, "ends too early"),
        ("{ } (0,0,1,1)", 1, "ends too early"),
        ("{ true } (0,0,1,1)", 1, "ends too early"),
        ('{ ::Modality.equals("CT") } (0,0,1,1)', 1, "where an attribute is expected"),
        ('{ Modality.equals("CT") } (0,0,1,1)\n{ Rows', 2, "without its end"),
        ('{ Modality.equals("CT") } (0,0,1,1)\n(O,0,512,110)', 2, "in whole numbers"),
        ('{ Modality.equals("CT") } (0,0,1,1)\n(O,O,SO,11O)', 2, "in whole numbers"),
        ('{ Modality.equals("CT") } (0,0,1,1)\n(0,0,half,110)', 2, "in whole numbers"),
        ('{ Modality.equals("CT") } (0,0,1,1)\n[0,0,512,110]', 2, "in whole numbers"),
        ('{ Modality.equals("CT") } (0,0,1,1)\n(0,0,512,110\n', 2, "in whole numbers"),
        ('{ Modality.equals("CT") } (0,0,1,1)\n(0,0,5,5 (1,1,1,1)\n', 2, "in whole numbers"),
        ('Modality.equals("MR")\n(0,0,5,5) { Modality.equals("CT") } (0,0,1,1)', 2, "before any signature"),
        ('{ Modality.equals("CT") } (0,0,1,1)\nModality.equals("MR") } (0,0,5,5)', 2, "without its beginning"),
        ("{ " + "(" * 60 + " } (0,0,1,1)", 1, "nested too deep"),
    ],
)
def test_what_is_not_understood_is_a_problem_with_its_line(script: str, line: int, why: str) -> None:
    rules, problems = parse(script, "a.script")
    assert [number for number, _ in problems] == [line]
    assert why in problems[0][1]
    assert len(rules) == (1 if why in ("without its end", "without its beginning", "before any signature") else 0)


def test_words_in_parentheses_are_for_the_reader() -> None:
    script = 'GE (CT, 512 x 512, 4 screens) { Modality.equals("CT") } (0,0,1,1) (as of 2019, all) (of 3; see 1.2.3)'
    (rule,), problems = parse(script, "a")
    assert (len(rule.cuts), problems) == (1, [])


def test_a_signature_with_a_problem_is_no_rule_and_the_others_are() -> None:
    rules, problems = parse('{ nonsense } (0,0,1,1) { Modality.equals("CT") } (0,0,2,2)', "a")
    assert len(problems) == 1
    assert [rule.name for rule in rules] == ['Modality.equals("CT")']


def _written(condition: Condition) -> str:
    match condition:
        case Not(inner):
            return f"!({_written(inner)})"
        case Both(left, right):
            return f"({_written(left)}) * ({_written(right)})"
        case Either(left, right):
            return f"({_written(left)}) + ({_written(right)})"
        case Says(path, method, argument):
            return f'[{path[0] >> 16:04x},{path[0] & 0xFFFF:04X}].{method}("{argument}")'
    return "true." if condition else "false."


_ARGUMENTS = st.text(st.characters(exclude_characters='"\n\r}\\', codec="ascii", exclude_categories=["Cc"]), max_size=8)
_TERMS: st.SearchStrategy[Condition] = st.booleans() | st.builds(
    Says, st.sampled_from(list(_TAGS.values())).map(lambda tag: (tag,)),
    st.sampled_from(["equals", "contains", "startsWith", "endsWithIgnoreCase", "isLessThan"]), _ARGUMENTS,
)  # fmt: skip
_CONDITIONS = st.recursive(
    _TERMS, lambda c: st.builds(Not, c) | st.builds(Both, c, c) | st.builds(Either, c, c), max_leaves=8
)
_RECTANGLES = st.lists(st.tuples(*[st.integers(0, 4000)] * 4), min_size=1, max_size=4)


@given(condition=_CONDITIONS, regions=_RECTANGLES)
def test_what_is_written_is_read_back(condition: Condition, regions: list[tuple[int, int, int, int]]) -> None:
    script = f"words {{ {_written(condition)} }} more words\n" + " ".join(map(str, regions))
    (rule,), problems = parse(script, "a")
    assert not problems
    assert rule.condition == condition
    assert rule.cuts == tuple(RuleCut(Rectangle(x, y, x + w, y + h)) for x, y, w, h in regions)


@given(text=st.text(), inner=st.text(st.sampled_from('!*+().:"[]0,8 Modalityequalstrue'), max_size=40))
def test_any_text_is_rules_or_problems(text: str, inner: str) -> None:
    parse(text, "a")
    rules, problems = parse(f"{{{inner}}} (0,0,1,1)", "a")
    assert bool(rules) != bool(problems)
    for rule in rules:
        holds(rule.condition, lambda path: None)
