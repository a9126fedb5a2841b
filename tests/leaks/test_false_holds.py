"""Real headers, and patients who are not in them: what the second reader holds there it holds by mistake.

A sample; `python -m benchmarks.leaks` has the whole count, also of what the anonymize step leaves.
"""

from __future__ import annotations

import pytest

from benchmarks.invented import invented
from benchmarks.leaks import held, texts
from node.leaks import Kept, What
from node.leaks.automaton import Automaton
from node.leaks.what import Place
from tests.data import real_folders

PATIENTS = 12


def test_headers_as_received_hold_at_most_one_unit_in_a_hundred() -> None:
    """Where names and identifiers stand, real ones do: those are found by right."""
    folders = real_folders()
    if not folders:
        pytest.skip("real images are not here")
    units = {}
    for folder in folders:
        first = sorted(p for p in folder.rglob("*") if p.is_file())[:1]
        units[folder.name] = frozenset(one for one in texts(first) if one[1] not in (Place.PERSON, Place.IDENTIFIER))
    count, total = held(units, PATIENTS)
    assert total > 300
    assert count / total <= 0.01


@pytest.mark.parametrize("seed", range(20))
def test_each_of_these_patients_would_be_found(seed: int) -> None:
    """A reader that finds nothing would pass the other test."""
    patient = invented(seed)
    automaton = Automaton(patient, Kept())
    for what, name in patient.names:
        if what is What.PATIENT:
            assert automaton.search(name.split("^")[0], Place.PERSON) == {What.PATIENT}
            assert What.PATIENT in automaton.search(f"scan of {name.replace('^', ' ')}")
    for uid in patient.uids:
        assert automaton.search(uid, Place.UID) == {What.UID}
