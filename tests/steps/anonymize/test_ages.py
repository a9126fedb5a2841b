from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.steps.anonymize.ages import InvalidAgeError, cap_age, is_great


@pytest.mark.parametrize(
    ("value", "after"),
    [
        ("089Y", "089Y"), ("090Y", "090Y"), ("091Y", "090Y"), ("119Y", "090Y"), ("999M", "999M"), ("999W", "999W"),
        ("000D", "000D"), ("0Y", "0Y"), ("89Y", "89Y"), ("93Y", "090Y"),
        ("", ""), ("  ", ""), ("104Y ", "090Y"), ("012M\\101Y", "012M\\090Y"),
    ],
)  # fmt: skip
def test_ages_over_89_are_one_class(value: str, after: str) -> None:
    assert cap_age(value) == after


@given(st.integers(0, 999), st.sampled_from("DWMY"))
def test_nobody_in_the_output_is_older_than_90_and_the_young_stay_as_they_are(count: int, unit: str) -> None:
    value = f"{count:03}{unit}"
    after = cap_age(value)
    assert after == (value if unit != "Y" or count < 90 else "090Y")
    assert cap_age(after) == after


@pytest.mark.parametrize("value", ["93", "0093Y", "093y", "093 Y", "Smith", "-93Y", "٠٩٣Y", "093Y-095Y"])
def test_what_is_no_age_string_is_refused_without_being_quoted(value: str) -> None:
    with pytest.raises(InvalidAgeError) as raised:
        cap_age(value)
    assert value not in str(raised.value)


@pytest.mark.parametrize(
    ("number", "unit", "great"),
    [
        ("97", "Y", True), ("90.0", "Y", True), ("89.9", "Y", False), ("1100", "M", True), ("1000", "M", False),
        ("97", "D", False), ("40000", "D", True), ("nan", "Y", True), ("old", "Y", True), ("9e1", "Y", True),
    ],
)  # fmt: skip
def test_an_age_that_is_measured_is_great_by_the_same_class(number: str, unit: str, great: bool) -> None:
    assert is_great(number, unit) is great
