"""Only headers that decide how many instances there are count."""

from __future__ import annotations

from typing import Any

import pytest

from node.complete import HeaderCount, header_counts
from node.model import Header

PET = "1.2.840.10008.5.1.4.1.1.128"


def pet(kind: str, *, sop_class: str = PET, **dimensions: int) -> Header:
    keys = {"slices": "00540081", "time_slices": "00540101", "intervals": "00540061", "slots": "00540071"}
    numbers: dict[str, Any] = {keys[name]: ["US", [size]] for name, size in dimensions.items()}
    return {"00080016": ["UI", [sop_class]], "00541000": ["CS", [kind, "IMAGE"]], **numbers}


@pytest.mark.parametrize(
    ("header", "images"),
    [
        (pet("STATIC", slices=47), 47),
        (pet("WHOLE BODY", slices=263), 263),
        (pet("DYNAMIC", slices=47, time_slices=30), 1410),
        (pet("GATED", slices=47, intervals=2, slots=8), 752),
    ],
)
def test_a_pet_series_says_how_large_its_array_is(header: Header, images: int) -> None:
    (found,) = header_counts([header, header])
    assert found == HeaderCount(what="the PET series", announced=images, here=2, exact=False)


@pytest.mark.parametrize(
    "members",
    [
        [],
        [pet("DYNAMIC", slices=47)],
        [pet("STATIC", slices=0)],
        [pet("OTHER", slices=47)],
        [pet("STATIC", slices=47, sop_class="1.2.840.10008.5.1.4.1.1.2")],
        [pet("STATIC", slices=47), pet("STATIC", slices=48)],
        [{"00201002": ["IS", [3]]}, {"00201209": ["IS", [3]]}],
        [{"00080016": ["UI", None]}],
    ],
    ids=["nothing", "no time slices", "zero", "unknown type", "CT", "do not agree", "others", "unknown value"],
)
def test_other_headers_decide_nothing(members: list[Header]) -> None:
    assert header_counts(members) == ()


def part(number: int, total: int | None = 3, uid: str = "1.5") -> Header:
    header: dict[str, Any] = {"00209161": ["UI", [uid]], "00209162": ["US", [number]]}
    return header | ({"00209163": ["US", [total]]} if total is not None else {})


def test_a_concatenation_says_how_many_parts_it_has() -> None:
    assert header_counts([part(1), part(3), part(1, 2, "1.6"), part(2, 2, "1.6")]) == (
        HeaderCount(what="concatenation 1.5", announced=3, here=2, exact=True),
        HeaderCount(what="concatenation 1.6", announced=2, here=2, exact=True),
    )


def test_parts_that_do_not_say_or_contradict_each_other_decide_nothing() -> None:
    assert header_counts([part(1, None)]) == ()
    assert header_counts([part(1, 3), part(2, 4)]) == ()
    assert header_counts([part(1), part(1)]) == ()
