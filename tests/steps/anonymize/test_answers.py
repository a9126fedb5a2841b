"""A decision that is remembered is the one that would be made: whatever it looks at, and however headers follow."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.alike import Alike
from node.steps.anonymize.answers import LONGEST, Decisions, Noted
from node.steps.anonymize.header import Header
from node.steps.anonymize.identifying import Found, Sequences, identifying
from node.steps.anonymize.source import Source, opened
from tests.steps.anonymize.choices import examples
from tests.steps.anonymize.generated import Generator, element, file, sequence

_TAGS = (0x00080060, 0x00080070, 0x00180015)


@contextmanager
def _sources(*data_sets: bytes, alike: Alike | None = None) -> Iterator[list[Source]]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        paths = [file(Path(folder) / str(n), one, explicit=True) for n, one in enumerate(data_sets)]
        yield [stack.enter_context(opened(path, alike)) for path in paths]


def _data(*values: bytes) -> bytes:
    return b"".join(element(tag, "CS", value, explicit=True) for tag, value in zip(_TAGS, values, strict=False))


class _Decider:
    """Looks at the first, and if that says so at the second; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, header: Header) -> tuple[bytes, ...]:
        self.asked += 1
        first = header.raw(_TAGS[0])
        return (first, header.raw(_TAGS[1])) if first == b"CT" else (first,)


def test_headers_that_differ_in_what_was_not_looked_at_are_decided_once() -> None:
    decide, decisions = _Decider(), Decisions[tuple[bytes, ...]]()
    with _sources(
        _data(b"CT", b"AA", b"11"), _data(b"CT", b"AA", b"22"), _data(b"MR", b"AA"), _data(b"MR", b"BB")
    ) as s:
        assert [decisions.of(one, None, decide) for one in s] == [(b"CT", b"AA")] * 2 + [(b"MR",)] * 2
    assert decide.asked == 2


@pytest.mark.parametrize("other", [_data(b"CT", b"BB", b"11"), _data(b"CT", b"AA"), _data(b"MR", b"AA", b"11")])
def test_one_that_differs_in_what_was_looked_at_or_in_its_tags_is_decided_anew(other: bytes) -> None:
    decide, decisions = _Decider(), Decisions[tuple[bytes, ...]]()
    with _sources(_data(b"CT", b"AA", b"11"), other) as sources:
        assert [decisions.of(one, None, decide) for one in sources] == [_Decider()(one.header) for one in sources]
    assert decide.asked == 2


def test_what_is_given_beside_the_header_and_how_it_is_laid_out_count() -> None:
    decide, decisions = _Decider(), Decisions[tuple[bytes, ...]]()
    with _sources(_data(b"CT", b"AA")) as (one,):
        for given_ in ("a", "b", "a"):
            decisions.of(one, given_, decide)
    assert decide.asked == 2


def test_what_looks_at_a_long_element_is_decided_anew_each_time() -> None:
    long = element(0x7FE00010, "OW", b"\0" * LONGEST, explicit=True)
    decisions, asked = Decisions[int](), []
    with _sources(_data(b"CT") + long) as (one,):
        for _ in range(2):
            decisions.of(one, None, lambda header: asked.append(header.raw(0x7FE00010)) or 1)  # type: ignore[func-returns-value]
            decisions.of(one, "tags", lambda header: asked.append(header.sequences()) or 1)  # type: ignore[func-returns-value]
    assert len(asked) == 4
    assert not decisions.known


def test_file_meta_information_counts_where_it_is_asked_for() -> None:
    def decide(header: Header) -> bytes:
        meta = header.meta()
        return b"" if meta is None else meta.raw(0x00020013)

    with _sources(_data(b"CT"), _data(b"CT")) as (one, two):
        told = two._replace(meta=two.meta + element(0x00020013, "SH", b"OTHER ", explicit=True))
        none = two._replace(meta=b"")
        decisions = Decisions[bytes]()
        every = [one, told, none, two, told, none]
        assert [decisions.of(source, None, decide) for source in every] == [decide(source.header) for source in every]


def test_files_that_differ_in_the_instance_alone_are_decided_once_and_by_that_each() -> None:
    """Of a series, whose data sets have all in common that was looked at."""
    asked: list[int] = []

    def decide(header: Header, tag: int) -> bytes:
        asked.append(tag)
        meta = header.meta()
        return b"" if meta is None else meta.raw(tag)

    sets = [_data(b"CT" * 25, b"AA", number) for number in (b"11", b"22", b"33", b"44", b"55")]
    with _sources(*sets, alike=Alike()) as sources:
        assert sources[-1].shared is not None
        last = sources[-1]
        for tag in (0x00020003, 0x00020010):
            decisions = Decisions[bytes]()
            for instance in (b"1.2\0", b"1.3\0", b"1.22"):
                meta = element(0x00020003, "UI", instance, explicit=True)
                for syntax in (b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0"):
                    behind = element(0x00020010, "UI", syntax, explicit=True)
                    one = last._replace(meta=meta + behind, around=(meta[:8], behind))
                    said = decisions.of(one, tag, lambda header, tag=tag: decide(header, tag))  # type: ignore[misc]
                    assert said == {0x00020003: instance, 0x00020010: syntax}[tag]
            assert bool(decisions.settled) is (tag != 0x00020003)
    assert asked.count(0x00020010) == 2


def test_few_decisions_that_are_settled_are_kept() -> None:
    decisions = Decisions[bytes]()
    with _sources(*(_data(b"CT" * 25, b"AA", b"%02d" % n) for n in range(5)), alike=Alike()) as sources:
        for given_ in range(600):
            decisions.of(sources[-1], given_, lambda header: header.raw(_TAGS[0]))
    assert 0 < len(decisions.settled) <= 512


def test_what_is_large_is_decided_anew_each_time() -> None:
    decide, decisions = _Decider(), Decisions[tuple[bytes, ...]](lambda end: len(end) < 2)
    with _sources(_data(b"CT", b"AA"), _data(b"MR", b"AA")) as sources:
        for one in [*sources, *sources]:
            decisions.of(one, None, decide)
    assert decide.asked == 3


def test_a_header_of_very_many_elements_is_decided_anew_each_time() -> None:
    decide, decisions = _Decider(), Decisions[tuple[bytes, ...]]()
    many = b"".join(element(tag, "LO", b"x ", explicit=True) for tag in range(0x00100000, 0x00101400))
    with _sources(_data(b"CT", b"AA") + many) as (one,):
        assert decisions.of(one, None, decide) == decisions.of(one, None, decide) == (b"CT", b"AA")
    assert (decide.asked, decisions.known) == (2, {})


def test_few_decisions_are_kept() -> None:
    decisions = Decisions[bytes]()
    with _sources(*(_data(b"%04d" % n) for n in range(20))) as sources:
        for given_ in range(60):
            for one in sources:
                decisions.of(one, given_, lambda header: header.raw(_TAGS[0]))
    assert sum(len(ends) for ways in decisions.known.values() for ends in ways.values()) <= 512


@examples(40)
@given(
    st.lists(st.integers(0, 5), min_size=4, max_size=12), st.integers(0, 2**32), st.integers(1, 6), st.booleans()
)  # fmt: skip
def test_any_way_through_any_headers_comes_to_the_same_as_without_memory(
    seeds: list[int], start: int, steps: int, read_together: bool
) -> None:
    """What is looked at next depends on all that was seen."""

    def decide(header: Header) -> tuple[object, ...]:
        seen: list[object] = [len(header.tags), *(header.sequences() if start % 2 else ())]
        tags = sorted(header.tags)
        for _ in range(steps):
            tag = tags[(start + hash(tuple(seen))) % len(tags)]
            seen += [header.vr(tag), header.raw(tag)]
            seen += [sorted(item.tags) for item in header.items(tag)] and [len(header.items(tag))]
        return tuple(seen)

    made = {seed: Generator(seed % 3, explicit=True).data_set() for seed in seeds}
    made |= {seed: made[seed].replace(b"HEAD", b"KNEE").replace(b"1.5", b"2.5") for seed in seeds if seed > 2}
    decisions = Decisions[tuple[object, ...]]()
    alike = Alike() if read_together else None
    with _sources(*(made[seed] for seed in seeds), *(made[seed] for seed in seeds), alike=alike) as sources:
        for one in [*sources, *sources]:
            assert decisions.of(one, None, decide) == decide(one.header)


def test_of_what_is_read_together_only_what_varies_is_compared() -> None:
    long = element(0x7FE00010, "OW", b"\0" * LONGEST, explicit=True)
    decide, decisions, asked = _Decider(), Decisions[tuple[bytes, ...]](), list[int]()
    values = [b"11", b"22", b"33", b"44"]
    start = element(0x00080008, "CS", b"X" * 48, explicit=True)
    with _sources(*(start + _data(b"CT", b"AA", one) + long for one in values), alike=Alike()) as sources:
        assert [source.shared is None for source in sources] == [True, True, False, False]
        for one in sources[2:]:
            decisions.of(one, None, decide)
            decisions.of(one, "representations", lambda header: (b"%d" % len(header.sequences()),))
            decisions.of(one, "varies", lambda header: asked.append(1) or (header.raw(_TAGS[2]),))  # type: ignore[func-returns-value]
    assert (decide.asked, len(asked)) == (1, 2)


def test_all_that_a_noted_header_answers_is_what_the_header_answers() -> None:
    code = sequence(0x00081032, [_data(b"CT")], explicit=True, defined=(True, True))
    with _sources(element(0x00080060, "CS", b"CT", explicit=True) + code) as (one,):
        noted, plain = Noted(one.header), one.header
        assert (noted.raw(0x00080060), noted.vr(0x00081032)) == (plain.raw(0x00080060), plain.vr(0x00081032))
        assert list(noted.sequences()) == list(plain.sequences()) == [0x00081032]
        assert [item.raw(0x00080060) for item in noted.items(0x00081032)] == [b"CT"]


@examples(25)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=4), st.booleans())
def test_what_identifies_in_sequences_is_the_same_found_again(seeds: list[int], read_together: bool) -> None:
    known, encodings = Sequences(), ("latin-1",)
    made = [Generator(seed, explicit=True, content=True).data_set() for seed in seeds]
    made += [one.replace(b"Abcdefg", b"Bcdefgh").replace(b"Head", b"Haed") for one in made]  # also in sequences
    decisions = Decisions[list[Found]]()
    with _sources(*made, *made, alike=Alike() if read_together else None) as sources:
        for one in [*sources, *sources]:
            alone = list(identifying(one.header, encodings))
            within = known.of(one)
            assert list(identifying(one.header, encodings, within)) == alone
            again = decisions.of(one, encodings, lambda header: list(identifying(header, encodings, within)))  # noqa: B023
            assert again == alone
