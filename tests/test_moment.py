from __future__ import annotations

import re
from datetime import UTC

from node.moment import new_receipt, process_name, utc_now


def test_receipts_are_32_digits_never_the_same_and_sort_by_time() -> None:
    made = [new_receipt() for _ in range(2000)]
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in made)
    moments = [one[:12] for one in made]
    assert moments == sorted(moments)


def test_a_receipt_carries_its_millisecond() -> None:
    before = utc_now().timestamp()
    made = int(new_receipt()[:12], 16) / 1000
    assert before - 0.002 <= made <= utc_now().timestamp() + 0.002


def test_now_is_utc() -> None:
    assert utc_now().tzinfo is UTC


def test_a_process_has_another_name_at_every_start_and_one_that_names_a_file() -> None:
    names = {process_name() for _ in range(50)}
    assert len(names) == 50
    assert all(re.fullmatch(r"[a-z0-9-]{1,60}", name) for name in names)
