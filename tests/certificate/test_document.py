"""A file is a certificate as it was issued, byte for byte, or it is said what is wrong and where."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.certificate.document import (
    Broken,
    changed_parts,
    check,
    encoded,
    fingerprint,
    first_difference,
    in_words,
    parse,
)
from node.certificate.keys import Keys
from tests.certificate.facts import KEYS, OTHER, certificate

ISSUED = certificate()


def why(data: bytes) -> str:
    with pytest.raises(Broken) as raised:
        check(KEYS, data)
    return str(raised.value)


def test_a_certificate_verifies_and_gives_what_it_says() -> None:
    content = check(KEYS, ISSUED)
    assert content["issue"] == {
        "at": "2026-02-02T02:40:00Z", "chain": "c" * 24, "key": KEYS.id, "number": 1, "previous": "0" * 64,
    }  # fmt: skip
    assert fingerprint(ISSUED) == fingerprint(certificate())


def test_two_runs_differ_in_the_issue_and_its_seal_alone() -> None:
    one, other = check(KEYS, ISSUED), check(KEYS, certificate(at=1_780_000_000.0, name="d" * 24, previous="1" * 64))
    assert changed_parts(one, other) == ["issue.at", "issue.chain", "issue.previous", "seal"]


def test_every_single_byte_that_is_changed_is_found() -> None:
    """Each place, three other bytes: its lowest bit, its highest one, and a blank."""
    for place in range(len(ISSUED)):
        for byte in {ISSUED[place] ^ 1, ISSUED[place] ^ 0x80, 0x20} - {ISSUED[place]}:
            changed = ISSUED[:place] + bytes([byte]) + ISSUED[place + 1 :]
            with pytest.raises(Broken):
                check(KEYS, changed)


@given(st.integers(0, len(ISSUED) - 1), st.integers(1, 255))
def test_a_byte_changed_to_any_other_is_found(place: int, difference: int) -> None:
    why(ISSUED[:place] + bytes([ISSUED[place] ^ difference]) + ISSUED[place + 1 :])


@given(st.integers(0, len(ISSUED)), st.integers(0, len(ISSUED)), st.binary(max_size=8))
def test_bytes_that_are_cut_out_or_put_in_are_found(one: int, other: int, put: bytes) -> None:
    begin, end = sorted((one, other))
    changed = ISSUED[:begin] + put + ISSUED[end:]
    if changed != ISSUED:
        why(changed)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_anything_else_is_no_certificate(data: bytes) -> None:
    why(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["certificate", "issue", "seal", "statement"]), json_values)
def test_a_part_that_is_anything_else_is_found_without_a_fault(part: str, value: object) -> None:
    content = json.loads(ISSUED)
    if content[part] != value:
        why(json.dumps({**content, part: value}, sort_keys=True, indent=1).encode() + b"\n")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xff" + ISSUED, "byte 1 is none of a certificate"),
        (ISSUED[:-3], "it is not JSON from byte"),
        (b"[" * 100_000, "not JSON"),
        (b"1" * 10_000, "not JSON of any use"),
        (b"{}", "does not say that it is"),
        (ISSUED + b"\n", f"byte {len(ISSUED) + 1} is not written"),
        (ISSUED.replace(b'"number": 1,', b'"number": 01,'), "not JSON"),
        (ISSUED.replace(b'"number": 1,', b'"number": true,'), "`issue`"),
        (ISSUED.replace(json.loads(ISSUED)["seal"].encode(), b"\\ud800"), "not as it was sealed"),
        (ISSUED.replace(b'"received": 2\n', b'"received": 3\n'), "not as it was sealed"),
        (ISSUED.replace(b'"number": 1,', b'"number": 2,'), "not as it was sealed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said(data: bytes, said: str) -> None:
    assert said in why(data)


def test_a_certificate_of_another_node_is_told_from_one_that_was_changed() -> None:
    with pytest.raises(Broken, match="another secret"):
        check(OTHER, ISSUED)
    assert parse(ISSUED)["issue"]["number"] == 1, "its form is right"


def test_a_seal_put_on_without_the_secret_does_not_hold() -> None:
    content = json.loads(ISSUED)
    content["statement"]["instances"]["held"] = 1
    body = {key: value for key, value in content.items() if key != "seal"}
    assert "sealed" in why(encoded({**body, "seal": OTHER.seal(encoded(body))}))


def test_where_two_contents_differ_is_told_by_path() -> None:
    one = {"a": {"b": [1, {"c": 2}], "d": 1}, "e": 0}
    assert changed_parts(one, one) == []
    assert changed_parts(one, {"a": {"b": [1, {"c": 3}]}, "e": False, "f": 1}) == ["a.b[1].c", "a.d", "e", "f"]
    assert changed_parts(one, {"a": {"b": [1], "d": 1}, "e": 0}) == ["a.b"]


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_the_first_difference_is_where_two_files_part(one: bytes, other: bytes) -> None:
    at = first_difference(one, other)
    if at is None:
        assert one == other
    else:
        assert one[:at] == other[:at]
        assert one[at : at + 1] != other[at : at + 1]


def test_what_was_sealed_before_a_rotation_verifies_after_it() -> None:
    document = certificate(1)
    after = Keys(OTHER.secret, former=(KEYS.secret,))
    assert check(after, document) == check(KEYS, document)
    with pytest.raises(Broken, match="another secret"):
        check(OTHER, document)
    assert b"secret" not in repr(after).encode()


def test_who_reads_a_statement_reads_its_words_and_numbers_and_no_hash() -> None:
    said = {"unit": {"uid": "ab" * 16}, "sha256": "0f" * 32, "digits": "12" * 16, "bytes": 4711, "words": ["a", "b1"]}
    assert json.loads(in_words(said)) == {
        "unit": {"uid": ""}, "sha256": "", "digits": "12" * 16, "bytes": 4711, "words": ["a", "b1"],
    }  # fmt: skip


def test_a_tag_is_read_in_its_two_parts_since_together_they_may_be_the_number_of_a_patient() -> None:
    said = {"attributes": {"(0010,0010)": {"replaced": 3}, '(0019,"MAKER",0C)': {}}, "words": ["of (0028,0010), 7"]}
    assert json.loads(in_words(said)) == {
        "attributes": {"(0010|0010)": {"replaced": 3}, '(0019,"MAKER",0C)': {}}, "words": ["of (0028|0010), 7"],
    }  # fmt: skip
