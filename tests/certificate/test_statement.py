"""What goes out says what was done, and nothing of whom it was done to."""

from __future__ import annotations

import json

from node.certificate.account import Accounts
from node.certificate.actions import Done
from node.certificate.keys import Keys
from node.certificate.statement import Reading, digest
from tests.certificate.facts import KEYS, METHOD, OTHER, account, both, statement


def test_a_statement_has_methods_counts_and_hashes() -> None:
    said = json.loads(json.dumps(statement()))
    (anonymize, nifti) = said["steps"]
    (method,) = anonymize["methods"]
    assert nifti == {"step": "nifti"}
    assert {key: method[key] for key in METHOD} == METHOD
    assert method["attributes"] == {"(0010,0010)": {"replaced": 2}, "(0040,0275)(0040,0002)": {"removed": 2}}
    assert (method["instances"], method["pixels"]) == (2, {"kept": 2})
    assert said["instances"] == {"certified": 2, "dropped": 0, "held": 0, "received": 2}
    assert [one["sha256"][0] for one in said["outputs"]] == ["1", "2", "3"]
    assert said["outputs"][2]["received"] == sorted(map(KEYS.uid, ("1.2.777.1", "1.2.777.2")))
    assert "instance" not in said["outputs"][2]
    assert said["second_reader"] == {"state": "not run"}


def test_nothing_that_goes_out_names_the_patient_the_route_or_a_uid() -> None:
    said = json.dumps(statement())
    for secret in ("mithson", "20260102", "1.2.777", "2.25."):
        assert secret not in said


def test_the_inner_part_has_codes_and_the_route_and_no_value() -> None:
    said, inner = both()
    text = json.dumps(inner)
    assert inner["route"] == "smithson-study"
    assert said["inner"] == digest(inner)
    assert "Smithson^" not in text
    assert "20260102" not in text
    assert KEYS.value()(b"20260102") in [
        before
        for pairs in inner["steps"][0]["values"][0].values()
        for before in (p.split(" ")[0] for p in pairs)  # type: ignore[index]
    ]


def test_another_value_before_makes_another_statement() -> None:
    assert statement(account(), account()) != statement(account(), account(b"Smithson^Anna"))


def test_equal_work_gives_equal_statements_whatever_the_order_of_its_instances() -> None:
    one, other = account(), account(b"Smithson^Anna")
    assert digest(statement(one, other)) == digest(statement(other, one))


def test_the_second_readers_result_is_told() -> None:
    said = statement(reading=Reading(state="clean", counts={"files": 3, "values": 41}))
    assert said["second_reader"] == {"state": "clean", "counts": {"files": 3, "values": 41}}


def test_masked_pixels_are_told_apart_from_attributes() -> None:
    recording = Accounts(KEYS.value()).begin()
    recording.did((0x7FE00010,), Done.MASKED)
    method = statement(recording.account(METHOD))["steps"][0]["methods"][0]  # type: ignore[index]
    assert (method["attributes"], method["pixels"]) == ({}, {"masked": 1})


def test_each_key_has_one_use_and_none_is_shown() -> None:
    assert len({KEYS.uid("1.2"), KEYS.chain("1.2"), KEYS.seal(b"1.2")[:32], KEYS.value()(b"1.2"), KEYS.id}) == 5
    assert KEYS.id != OTHER.id
    assert KEYS.secret.decode() not in repr(KEYS)
    assert Keys(KEYS.secret) == KEYS
