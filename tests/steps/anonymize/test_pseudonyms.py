from __future__ import annotations

import hmac
import subprocess
import sys
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.uids import valid_uid
from node.steps.anonymize.pseudonyms import LEAST_SECRET, Pseudonyms

_SECRET = b"s" * 32
_uids = st.lists(st.integers(0, 10**12), min_size=2, max_size=6).map(lambda n: "1.3." + ".".join(map(str, n)))


@given(_uids)
def test_a_uid_becomes_a_valid_one_and_always_the_same(uid: str) -> None:
    mapped = Pseudonyms(_SECRET).uid(uid)
    assert valid_uid(mapped)
    assert mapped == Pseudonyms(_SECRET).uid(uid)
    assert uuid.UUID(int=int(mapped.removeprefix("2.25."))).version == 8


@given(st.sets(_uids, min_size=2, max_size=20))
def test_different_uids_stay_different(uids: set[str]) -> None:
    pseudonyms = Pseudonyms(_SECRET)
    assert len({pseudonyms.uid(uid) for uid in uids}) == len(uids)


@given(_uids)
def test_another_secret_gives_another_uid(uid: str) -> None:
    assert Pseudonyms(_SECRET).uid(uid) != Pseudonyms(b"t" * 32).uid(uid)


def test_uids_of_the_standard_and_empty_ones_stay() -> None:
    for uid in ("1.2.840.10008.1.2", "1.2.840.10008.5.1.4.1.1.2", ""):
        assert Pseudonyms(_SECRET).uid(uid) == uid
    assert Pseudonyms(_SECRET).uid("1.2.840.100080") != "1.2.840.100080"


def test_another_process_gives_the_same() -> None:
    code = (
        "from node.steps.anonymize.pseudonyms import *; p = Pseudonyms(b's' * 32);"
        "print(p.uid('1.3.6'), p.patient('a', 'b'))"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    here = Pseudonyms(_SECRET)
    assert there == [here.uid("1.3.6"), here.patient("a", "b")]


@given(st.text("0123456789abcXYZ-", min_size=1, max_size=20), st.text("HOSPITAL", max_size=8))
def test_case_and_padding_of_a_patient_id_make_no_difference(patient_id: str, issuer: str) -> None:
    pseudonyms = Pseudonyms(_SECRET)
    assert pseudonyms.patient(issuer, patient_id) == pseudonyms.patient(f" {issuer.lower()}", f"{patient_id.upper()} ")
    assert len(pseudonyms.patient(issuer, patient_id)) == 16


def test_one_patient_id_at_two_issuers_is_two_patients() -> None:
    assert Pseudonyms(_SECRET).patient("A", "1") != Pseudonyms(_SECRET).patient("B", "1")


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        Pseudonyms(b"short")


_ids = st.text("0123456789abcXYZ-|", min_size=1, max_size=8)


@given(_ids, st.text("HOSPITAL|", max_size=4), st.text("HOSPITAL|", max_size=4), _ids)
def test_two_patients_stay_two_whatever_separates_issuer_and_id(a: str, at: str, other: str, b: str) -> None:
    pseudonyms = Pseudonyms(_SECRET)
    same = (at, a.upper()) == (other, b.upper())
    assert (pseudonyms.patient(at, a) == pseudonyms.patient(other, b)) == same


def test_the_pseudonyms_of_the_first_release_stay() -> None:
    assert Pseudonyms(_SECRET).patient("a", "b") == "c42f38d22fd09c39"
    assert Pseudonyms(_SECRET).uid("1.3.6") == "2.25.310255795696454837174852988405248252981"


@given(_ids, st.text("HOSPITAL", max_size=4))
def test_a_patients_dates_move_by_one_amount_that_leaves_no_year_as_it_was(patient_id: str, issuer: str) -> None:
    days = Pseudonyms(_SECRET).days(issuer, patient_id)
    assert -4017 <= days <= -366
    assert days == Pseudonyms(_SECRET).days(f"{issuer.lower()} ", patient_id.upper())
    assert -4017 <= Pseudonyms(_SECRET).days_of_study(patient_id) <= -366


def test_amounts_differ_between_patients_and_secrets_and_use_the_whole_range() -> None:
    found = {Pseudonyms(_SECRET).days("", str(number)) for number in range(2000)}
    assert len(found) > 1300
    assert min(found) < -3900
    assert max(found) > -480
    assert [Pseudonyms(b"t" * 32).days("", str(n)) for n in range(9)] != [
        Pseudonyms(_SECRET).days("", str(n)) for n in range(9)
    ]


def test_a_value_has_one_hash_whatever_its_padding_and_case_that_no_other_use_of_the_secret_gives() -> None:
    pseudonyms = Pseudonyms(_SECRET)
    assert pseudonyms.value(" a-4711 ") == pseudonyms.value("A-4711")
    assert len(pseudonyms.value("A-4711")) == 16
    assert pseudonyms.value("A-4711") not in (pseudonyms.patient("", "A-4711").upper(), pseudonyms.value("A-4712"))
    assert pseudonyms.value("A-4711") != Pseudonyms(b"t" * 32).value("A-4711")


@pytest.mark.parametrize("length", [LEAST_SECRET, 64, 65, 200])
def test_a_pseudonym_is_the_hmac_of_rfc_2104_whatever_the_length_of_the_secret(length: int) -> None:
    secret = bytes(range(length))
    expected = hmac.digest(secret, b"study:1.2.3", "sha256").hex()[:16]
    assert Pseudonyms(secret).patient_of_study("1.2.3") == expected
