"""What a route leaves on purpose."""

from __future__ import annotations

from node.dicom.deid_table import METHOD_CODES, rows
from node.leaks import Kept, What
from node.leaks.kept import DEVICE_UIDS


def test_options_that_keep_nothing_that_is_looked_for_have_no_effect() -> None:
    kept = [name for name in METHOD_CODES if Kept.of([name]) != Kept()]
    assert kept == [
        "retain_long_full_dates", "retain_long_modified_dates", "retain_device_identity", "retain_uids",
        "retain_institution_identity",
    ]  # fmt: skip


def test_the_birth_date_never_stays() -> None:
    assert not [name for name in METHOD_CODES if {What.BIRTH, What.PATIENT, What.ID} & Kept.of([name]).whats]


def test_uids_of_the_device_stay_with_its_identity() -> None:
    assert Kept.of(["retain_device_identity"]).tags == DEVICE_UIDS
    assert all("retain_device_identity" in rows()[tag].keeps for tag in DEVICE_UIDS if tag in rows())


def test_two_steps_leave_what_both_leave() -> None:
    one, other = Kept.of(["retain_uids", "retain_device_identity"], [1, 2]), Kept.of(["retain_uids"], [2, 3])
    assert one & other == Kept(frozenset({What.UID}), frozenset({2}))
    one, other = Kept.of([], [1], [(5, 2), (5, 3)]), Kept.of([], [2], [(5, 1), (5, 3)])
    assert (one & other).places == {(5, 2), (5, 1), (5, 3)}
    assert (Kept.of(["retain_long_modified_dates"]) & Kept()).shifted
