"""The engine tells a recorder of all that the reference tells it of, also what it remembers."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from node.certificate.account import Accounts, add_up
from node.certificate.actions import PIXELS, Done, Recorder, Told
from node.certificate.actions import Path as TagPath
from node.certificate.keys import Keys
from node.steps.anonymize import instance
from node.steps.anonymize.instance import Anonymizer, HoldError
from node.steps.anonymize.patients import Patients
from node.steps.anonymize.plan import Plan
from node.steps.anonymize.source import opened
from tests.data import several_real_folders
from tests.dicom.datasets import BIG_ENDIAN, DEFLATED
from tests.steps.anonymize import reference
from tests.steps.anonymize.choices import CHOICES, examples, plan_of
from tests.steps.anonymize.driver import SECRET
from tests.steps.anonymize.generated import Generator, file
from tests.steps.anonymize.test_memory import twins

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

_seeds, _choices = st.integers(0, 2**64 - 1), st.sampled_from(sorted(CHOICES))
CODE = Keys(SECRET).value()


def _is_untold(tag: int) -> bool:
    """Pixels that stay; Pixel Representation and group lengths, which pydicom decodes though nobody asks for them."""
    return tag in PIXELS or tag == 0x00280103 or not tag & 0xFFFF


class Listener(Recorder):
    def __init__(self) -> None:
        self.told: list[Told] = []

    def did(self, path: TagPath, action: Done, before: bytes | None = None, after: bytes | None = None) -> None:
        self.told.append((path, action, before, after))

    def report(self) -> Counter[Told]:
        """Without padding, which pydicom takes from a character set, and without values that are told otherwise."""
        return Counter(
            (path, action, *((None, None) if _is_untold(path[-1]) else (_stripped(before), _stripped(after))))
            for path, action, before, after in self.told
        )


def _stripped(value: bytes | None) -> bytes | None:
    return None if value is None else value.rstrip(b" \0")


@pytest.fixture(autouse=True, scope="module")
def _every_kind() -> Iterator[None]:
    """Also those that would be held for what their pixels, or their content, may show."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instance, "burned_in", lambda _: None)
        yield


def by_the_reference(path: Path, plan: Plan) -> Listener | None:
    listener = Listener()
    try:
        reference.deidentified(path, path.with_suffix(".theirs"), plan, Patients(SECRET), listener)
    except reference.UNREADABLE:
        return None
    return listener


def assert_told_the_same(path: Path, anonymizer: Anonymizer, accounts: Accounts, plan: Plan) -> None:
    ours, recording = Listener(), accounts.begin()
    try:
        anonymizer.anonymize(path, path.with_suffix(".ours"), ours)
        anonymizer.anonymize(path, path.with_suffix(".ours"), recording)
    except HoldError:
        event("held")
        return
    theirs = by_the_reference(path, plan)
    assert theirs is not None
    assert ours.report() == theirs.report()
    alone = Accounts(CODE).begin()
    for told in ours.told:
        alone.did(*told)
    assert add_up([recording.account({})]) == add_up([alone.account({})])


@examples(80)
@given(_seeds, _choices, st.booleans(), st.sampled_from(["", "", BIG_ENDIAN, DEFLATED]))
def test_both_tell_the_same(seed: int, choice: str, explicit: bool, syntax: str) -> None:
    explicit, plan = explicit or bool(syntax), plan_of(choice)
    data = Generator(seed, explicit=explicit, content=True).data_set()
    with tempfile.TemporaryDirectory() as folder:
        path = file(Path(folder) / "in", data, explicit=explicit, syntax=syntax)
        assert_told_the_same(path, Anonymizer(lambda _: plan, Patients(SECRET)), Accounts(CODE), plan)


@examples(20)
@given(st.data(), _choices, st.booleans())
def test_what_is_remembered_is_told_again_for_each_of_several_twins(
    data: st.DataObject, choice: str, explicit: bool
) -> None:
    plan, accounts = plan_of(choice), Accounts(CODE)
    together = Anonymizer(lambda _: plan, Patients(SECRET))
    with tempfile.TemporaryDirectory() as folder:
        for one in data.draw(twins(explicit=explicit)):
            path = file(Path(folder) / "in", one, explicit=explicit)
            assert_told_the_same(path, together, accounts, plan)


@pytest.mark.parametrize("choice", ["basic", "rules over all"])
@pytest.mark.parametrize("folder", several_real_folders())
def test_of_a_real_series_both_tell_the_same(folder: Path, choice: str, tmp_path: Path) -> None:
    anonymizer = Anonymizer(partial(plan_of, choice), Patients(SECRET))
    accounts, path = Accounts(CODE), tmp_path / "in"
    for source in sorted(path for path in folder.rglob("*") if path.is_file())[:5]:
        path.write_bytes(source.read_bytes())
        with opened(path) as found:
            sop_class = found.text(0x00080016)
        assert_told_the_same(path, anonymizer, accounts, plan_of(choice, sop_class))


def test_a_recorder_changes_nothing_of_what_is_written(tmp_path: Path) -> None:
    plan = plan_of("rules over all")
    anonymizer = Anonymizer(lambda _: plan, Patients(SECRET))
    for seed in range(40):
        path = file(tmp_path / "in", Generator(seed, explicit=True).data_set(), explicit=True)
        try:
            anonymizer.anonymize(path, tmp_path / "told", Listener())
            anonymizer.anonymize(path, tmp_path / "untold")
        except HoldError:
            continue
        assert (tmp_path / "told").read_bytes() == (tmp_path / "untold").read_bytes()


def test_pixels_are_not_read_to_be_told_of(tmp_path: Path) -> None:
    """Only their place in the file goes on; and nobody needs them for what was not changed."""
    plan, listener = plan_of("basic"), Listener()
    path = file(tmp_path / "in", Generator(1, explicit=True).data_set(), explicit=True)
    pixels = b"\xe0\x7f\x10\0OW\0\0" + (1 << 20).to_bytes(4, "little") + bytes(1 << 20)
    path.write_bytes(path.read_bytes() + pixels)
    Anonymizer(lambda _: plan, Patients(SECRET)).anonymize(path, tmp_path / "out", listener)
    assert [told for told in listener.told if told[0] == (0x7FE00010,)] == [((0x7FE00010,), Done.KEPT, None, None)]
