"""What is remembered of elements: only what stands on its own, and only so much; test_recalling has what it gives."""

from __future__ import annotations

import threading

import pytest

from node.dicom.recurring import LONGEST, Lately, learn
from node.dicom.text import character_set
from tests.dicom import datasets as made

UTF8 = character_set(["ISO_IR 192"])


def test_what_came_last_is_found_and_what_is_not_asked_for_is_forgotten() -> None:
    lately: Lately[int] = Lately(3)
    for number in range(10):
        lately.keep(b"%d" % number, number)
        assert lately.find(b"0") == 0  # asked for each time
    assert lately.find(b"9") == 9
    assert lately.find(b"1") is None


def test_there_are_never_more_than_twice_as_many_as_it_says() -> None:
    lately: Lately[int] = Lately(8)

    def fill(first: int) -> None:
        for number in range(first, first + 2000):
            lately.keep(b"%d" % number, number)
            assert lately.find(b"%d" % number) in (number, None)

    threads = [threading.Thread(target=fill, args=(2000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lately.latest) <= 8 + len(threads)
    assert len(lately._before) <= 8 + len(threads)


@pytest.mark.parametrize(
    "encoded",
    [
        made.explicit(0x00080005, "CS", b"ISO_IR 100"),
        made.explicit(0x00080000, "UL", b"\4\0\0\0"),
        made.explicit(0x7FE00010, "US", b"\4\0"),
        made.explicit(0xFFFEE00D, "LO", b""),
        made.explicit(0x00081140, "SQ", b""),
        made.explicit(0x00091001, "UN", b"12"),
        made.explicit(0x00100010, "PN", b"M\xfcller"),
        made.explicit(0x00204000, "LT", b"x" * (LONGEST + 1)),
        made.explicit(0x00100020, "LO", b"A1", 4),
        made.explicit(0x00100020, "LO", b"A1", 1),
        made.explicit(0x00100020, "XX", b"A1"),
    ],
)
def test_what_does_not_stand_on_its_own_is_not_learnt(encoded: bytes) -> None:
    assert learn(encoded, UTF8) is None


def test_an_element_is_its_key_its_values_and_what_it_costs() -> None:
    assert learn(made.explicit(0x00080060, "CS", b"CT"), UTF8) == (
        "00080060", "CS", ["CT"], b'"00080060":["CS",["CT"]]', 26, 0, None,
    )  # fmt: skip
    assert learn(made.explicit(0x00190010, "LO", b"SIEMENS "), UTF8) == (
        "00190010", "LO", ["SIEMENS"], b'"00190010":["LO",["SIEMENS"]]', 32, 32, (0x00190010, "SIEMENS"),
    )  # fmt: skip
