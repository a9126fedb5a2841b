from __future__ import annotations

import textwrap

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from node.config.reader import Mark, path_text, read


def problems(text: str) -> list[str]:
    return [str(p) for p in read(textwrap.dedent(text)).problems]


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "on",
        "yes",
        "off",
        "0010",
        "12:30:00",
        "1_000",
        "2024-01-31",
        "1e5",
        "0x10",
        "0o7",
        ".5",
        "+1",
        ".inf",
        "=",
    ],
)
def test_yaml_1_1_traps_stay_text(text: str) -> None:
    assert read(f"a: {text}").data == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-7", -7),
        ("0", 0),
        ("1.50", 1.5),
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1'", "1"),
    ],
)
def test_what_can_mean_nothing_else_is_typed(text: str, value: object) -> None:
    data = read(f"a: {text}").data
    assert data == {"a": value}
    assert type(data["a"]) is type(value)


def test_keys_are_always_text() -> None:
    assert read("{1: a, no: b, null: c, 0010: d}").data == {"1": "a", "no": "b", "null": "c", "0010": "d"}


def test_every_key_and_value_has_its_place() -> None:
    document = read("a:\n  - b: 1\n  - é: [2, 3]\n")
    assert document.keys[("a", 1, "é")] == Mark(3, 5)
    assert document.values[("a", 1, "é", 1)] == Mark(3, 12)
    assert str(document.problem(("a", 1, "é", 1), "wrong")) == "rules.yaml:3:12: a[1].é[1]: wrong"


def test_a_place_the_document_does_not_have_falls_back_to_what_it_stands_in() -> None:
    assert str(read("a: {b: 1}").problem(("a", "tagged", "missing"), "x")) == "rules.yaml:1:4: a: x"


def test_duplicate_keys_are_refused_wherever_they_are_and_all_at_once() -> None:
    assert problems(
        """\
        a: 1
        b: {c: 1, c: 2}
        a: 3
        """
    ) == [
        'rules.yaml:2:11: b.c: "c" is given twice; first on line 2',
        'rules.yaml:3:1: a: "a" is given twice; first on line 1',
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1\nb: 2", "rules.yaml:2:2: not YAML"),
        ("a: \x01", "rules.yaml:1:4: not YAML: character U+0001"),
        ("a: 1\n---\nb: 2", "rules.yaml:2:1: not YAML"),
        ("", "the file is empty"),
        ("# nothing", "the file is empty"),
        ("a: !!python/object:os.system x", "rules.yaml:1:4: a: the tag"),
        ("a: !!int x", "rules.yaml:1:4: a: the tag"),
        ("? [1]\n: 2", "rules.yaml:1:3: a key must be"),
        ("a: &a [*a]", "a[0]: an alias names what it stands in"),
        ("[" * 5000, "nested too deep"),
        ("a: " + "x" * 1_000_001, "longer than"),
        ("a: *b", "rules.yaml:1:4: not YAML"),
    ],
)
def test_what_cannot_be_read_is_a_problem_and_no_crash(text: str, said: str) -> None:
    found = [str(p) for p in read(text).problems]
    assert len(found) == 1
    assert said in found[0]


def test_an_alias_bomb_is_refused_before_it_fills_the_memory() -> None:
    lines = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    assert "aliases repeat values" in str(read("\n".join(lines)).problems[0])


def test_an_alias_is_what_it_names() -> None:
    assert read("a: &x {b: 1}\nc: *x").data == {"a": {"b": 1}, "c": {"b": 1}}


def test_paths_read_as_in_the_messages() -> None:
    assert path_text(("routes", 0, "steps", 2)) == "routes[0].steps[2]"


_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcxyz", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(_plain)
def test_what_pyyaml_writes_is_read_as_it_was(data: object) -> None:
    if data is not None:
        assert read(yaml.safe_dump(data, allow_unicode=True)).data == data


@given(st.text(max_size=40))
def test_any_text_gives_data_or_problems(text: str) -> None:
    document = read(text)
    assert document.data is not None or document.problems or document.values
