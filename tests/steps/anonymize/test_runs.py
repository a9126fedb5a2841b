"""Runs of elements that a series has in common are looked up as one, and never become what another patient's became."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from node.certificate.account import Accounts
from node.certificate.keys import Keys
from node.dicom import levels
from node.dicom.levels import EXPLICIT, IMPLICIT
from node.steps.anonymize import instance
from node.steps.anonymize.instance import Anonymizer, HoldError
from node.steps.anonymize.plan import Plan
from node.steps.anonymize.runs import Layout, Layouts
from tests import make
from tests.steps.anonymize.choices import CHOICES, examples, plan_of
from tests.steps.anonymize.driver import SECRET
from tests.steps.anonymize.generated import INSTANCE, PATIENTS, Generator, element, file
from tests.steps.anonymize.test_memory import patients

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

_seeds = st.integers(0, 2**64 - 1)
METHOD = {"profile": "basic"}


@pytest.fixture(autouse=True, scope="module")
def _every_kind() -> Iterator[None]:
    """Also those that would be held for what their content may show."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instance, "burned_in", lambda _: None)
        yield


# ---- where runs part -----------------------------------------------------------------------------------


def test_of_the_first_data_set_all_is_new_and_nothing_parts() -> None:
    layout = Layout((1, 2, 3, 4, 5))
    layout.learn([1, 2, 3, 4, 5])
    assert layout.runs == ((0, 5, True),)


def test_an_element_that_is_new_later_parts_the_run_that_it_stood_in_for_good() -> None:
    layout = Layout((1, 2, 3, 4, 5))
    for unknown in ([1, 2, 3, 4, 5], [3], [], [4]):
        layout.learn(unknown)
    assert layout.runs == ((0, 2, True), (2, 4, False), (4, 5, True))


def test_runs_are_short_enough_that_they_are_remembered() -> None:
    layout = Layout(tuple(range(200)))
    assert [(begin, end) for begin, end, _ in layout.runs] == [(0, 64), (64, 128), (128, 192), (192, 200)]


def test_data_sets_with_the_same_tags_have_one_layout_and_few_are_kept() -> None:
    layouts = Layouts()
    one = levels.top(element(0x00080060, "CS", b"CT", explicit=True), 0, EXPLICIT)
    other = levels.top(element(0x00080060, "CS", b"MRI ", explicit=True), 0, EXPLICIT)
    assert layouts.of(one) is layouts.of(other)
    for tag in range(0x00180000, 0x00180100, 2):
        layouts.of(levels.top(element(tag, "CS", b"CT", explicit=True), 0, EXPLICIT))
    assert len(layouts._known) <= 64


@pytest.mark.parametrize("numbers", [(0x70, 0x60), (0x60, 0x70, 0x60), (0x60, 0x70, 0x70, 0x80)])
def test_elements_in_disorder_and_those_that_come_twice_have_no_runs(numbers: tuple[int, ...]) -> None:
    """The bytes between the first and the last then hold more than these, or others."""
    data = b"".join(element(0x00080000 | number, "CS", b"CT", explicit=True) for number in numbers)
    assert Layouts().of(levels.top(data, 0, EXPLICIT)) is None


def test_a_data_set_of_very_many_elements_has_none() -> None:
    many = b"".join(element(tag, "LO", b"x ", explicit=True) for tag in range(0x00100000, 0x00101400))
    assert Layouts().of(levels.top(many, 0, EXPLICIT)) is None


# ---- what is remembered of them ------------------------------------------------------------------------

_DIFFERING = {
    0x00080005: ("CS", [b"ISO_IR 100", b"ISO_IR 192"]),
    0x00080018: ("UI", [b"1.2.3.9\0", INSTANCE.encode() + b"\0", b"2.25.7"]),
    0x0008103E: ("LO", [b"CT chest for Abcdefg", b"T1 ax "]),
    0x00100010: ("PN", [name.encode("latin-1") for name, _ in PATIENTS]),
    0x00100020: ("LO", [patient_id.encode() for _, patient_id in PATIENTS]),
    0x00180010: ("LO", [b"ID7711", b"Abcdefg "]),
    0x00190010: ("LO", [b"SIEMENS MR HEADER ", b"SOMEBODY"]),
    0x00200013: ("IS", [b"1 ", b"2 ", b"3 ", b"4 ", b"1000", b"no"]),
    0x00201041: ("DS", [b"1.5 ", b"-12.25", b"Abcdefg "]),
}
"""All of them in every instance, so that their tags are the same."""


@st.composite
def _interleaved(draw: st.DrawFn, *, explicit: bool) -> list[bytes]:
    """Instances of several patients in turn, which have all else in common."""
    data = Generator(draw(_seeds), explicit=explicit, content=False).data_set()
    parse = EXPLICIT if explicit else IMPLICIT
    shared = {each[0]: data[each[2] : each[4]] for each in levels.top(data, 0, parse).values()}
    made = []
    for _ in range(draw(st.integers(2, 4))):
        own = {
            tag: element(tag, vr, draw(st.sampled_from(values)), explicit=explicit)
            for tag, (vr, values) in _DIFFERING.items()
        }
        made.append(b"".join(encoded for _, encoded in sorted((shared | own).items())))
    return made


def _became(path: Path, anonymizer: Anonymizer, accounts: Accounts) -> tuple[bytes, str] | str:
    """The file that is written and the account of it, or why there is none."""
    recording, target = accounts.begin(), path.with_suffix(".out")
    try:
        anonymizer.anonymize(path, target, recording)
    except HoldError as error:
        return str(error)
    how, actions, changes = recording.account(METHOD).split("\n")
    return target.read_bytes(), f"{how}\n{actions}\n{sorted(changes)}"


@examples(25)
@given(st.data(), st.sampled_from(sorted(CHOICES)), st.booleans())
def test_interleaved_patients_become_what_each_becomes_where_nothing_is_remembered(
    data: st.DataObject, choice: str, explicit: bool
) -> None:
    plan, code = plan_of(choice), Keys(SECRET).value()

    def anonymizer(plan: Plan = plan) -> Anonymizer:
        return Anonymizer(lambda _: plan, patients())

    together, accounts = anonymizer(), Accounts(code)
    with tempfile.TemporaryDirectory() as folder:
        made = [
            file(Path(folder) / str(number), one, explicit=explicit)
            for number, one in enumerate(data.draw(_interleaved(explicit=explicit)))
        ]
        alone = [_became(path, anonymizer(), Accounts(code)) for path in made]
        for _ in range(4):
            assert [_became(path, together, accounts) for path in made] == alone
    event(f"runs are remembered: {any(one.latest for one in together._memory._runs.values())}")
    event(f"what is in common is: {any(any(one.values()) for one in together._memory._shared.values())}")


@examples(25)
@given(st.data(), _seeds, st.sampled_from(sorted(CHOICES)), st.booleans())
def test_instances_of_which_some_have_a_byte_more_or_another_become_what_each_becomes_alone(
    data: st.DataObject, seed: int, choice: str, explicit: bool
) -> None:
    """Whatever it is a byte of: a tag, a representation, a length, a character set, an id, a creator."""
    plan, code = plan_of(choice), Keys(SECRET).value()
    first = Generator(seed, explicit=explicit, content=False).data_set()
    made = [first, first]
    for _ in range(data.draw(st.integers(1, 4))):
        at, other = data.draw(st.integers(0, len(first) - 1)), data.draw(st.binary(min_size=1, max_size=2))
        made.append(first[:at] + other + first[at + 1 :])
    together, accounts = Anonymizer(lambda _: plan, patients()), Accounts(code)
    with tempfile.TemporaryDirectory() as folder:
        paths = [file(Path(folder) / str(number), one, explicit=explicit) for number, one in enumerate(made)]
        alone = [_became(path, Anonymizer(lambda _: plan, patients()), Accounts(code)) for path in paths]
        for _ in range(3):
            assert [_became(path, together, accounts) for path in paths] == alone
    event(f"what is in common is remembered: {any(any(one.values()) for one in together._memory._shared.values())}")
    event(f"some are held: {any(isinstance(one, str) for one in alone)}")


def test_little_of_what_data_sets_share_is_remembered(tmp_path: Path) -> None:
    anonymizer = Anonymizer(lambda _: plan_of("basic"), patients())
    for patient in range(50):
        for number in range(4):
            ds = make.ct_series(1)[0]
            ds.PatientID, ds.InstanceNumber = f"PATIENT{patient}", str(number)
            ds.save_as(tmp_path / "in.dcm", enforce_file_format=True)
            anonymizer.anonymize(tmp_path / "in.dcm", tmp_path / "out.dcm")
    assert 0 < len(anonymizer._memory._shared) <= 32


def test_a_series_comes_to_be_a_few_runs_that_are_looked_up(tmp_path: Path) -> None:
    anonymizer = Anonymizer(lambda _: plan_of("all, other UIDs"), patients())
    for number, ds in enumerate(make.ct_series(6)):
        ds.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
        anonymizer.anonymize(tmp_path / f"{number}.dcm", tmp_path / "out.dcm")
    layout = list(anonymizer._memory.layouts._of_shared.values())[-1]
    runs = list(anonymizer._memory._shared.values())[-1]
    parts = [(begin, end) for begin, end, is_run in layout.runs if is_run]
    assert sum(one is not None for one in runs.values()) >= len(parts) > 1
    assert sum(end - begin for begin, end in parts) > len(layout._tags) / 2


def test_the_creator_of_another_run_decides_of_a_private_element(tmp_path: Path) -> None:
    """The same bytes of a private element stay or go with the vendor whose block it is in."""
    anonymizer = Anonymizer(lambda _: plan_of("safe private"), patients())
    ds, found = make.ct_series(1)[0], []
    ds.add_new(0x0019100C, "IS", "5")
    for number in range(12):
        ds.add_new(0x00190010, "LO", "SIEMENS MR HEADER" if number % 2 else "SOMEBODY")
        ds.save_as(tmp_path / "in.dcm", enforce_file_format=True)
        anonymizer.anonymize(tmp_path / "in.dcm", tmp_path / "out.dcm")
        found.append(element(0x0019100C, "IS", b"5 ", explicit=True) in (tmp_path / "out.dcm").read_bytes())
    assert found == [False, True] * 6
