from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.negotiation import choose
from node.dicom.uids import NOT_DATA_SETS, TRANSFER_SYNTAXES, transfer_syntax

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
BASELINE, LOSSLESS, J2K_LOSSLESS, J2K = (f"1.2.840.10008.1.2.4.{n}" for n in (50, 70, 90, 91))
RLE, MPEG4, JPIP = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.94"
PRIVATE = "1.2.276.0.99.1"


@pytest.mark.parametrize(
    ("proposed", "chosen"),
    [
        ([IMPLICIT], IMPLICIT),
        ([IMPLICIT, EXPLICIT], EXPLICIT),
        ([EXPLICIT, LOSSLESS], EXPLICIT),
        ([LOSSLESS, EXPLICIT], LOSSLESS),
        ([BASELINE, J2K_LOSSLESS, IMPLICIT], J2K_LOSSLESS),
        ([BASELINE, IMPLICIT], IMPLICIT),
        ([IMPLICIT, BIG], BIG),
        ([DEFLATED, EXPLICIT], DEFLATED),
        ([J2K, RLE], RLE),
        ([BASELINE], BASELINE),
        ([J2K, BASELINE], J2K),
        ([MPEG4], MPEG4),
        ([PRIVATE], PRIVATE),
        ([PRIVATE, BASELINE], BASELINE),
        ([PRIVATE, IMPLICIT], IMPLICIT),
        ([JPIP, PRIVATE], PRIVATE),
        ([JPIP], JPIP),
        (["1.2.840.10008.1.2.6.2"], None),
        ([], None),
    ],
)
def test_the_first_lossless_explicit_one_is_taken_and_lossy_only_alone(proposed: list[str], chosen: str | None) -> None:
    assert choose(proposed) == chosen


_any = st.lists(st.sampled_from([*TRANSFER_SYNTAXES, *NOT_DATA_SETS, PRIVATE]), max_size=8)


@given(proposed=_any)
def test_the_choice_was_proposed_and_loses_nothing_that_need_not_be_lost(proposed: list[str]) -> None:
    chosen = choose(proposed)
    if chosen is None:
        assert set(proposed) <= NOT_DATA_SETS
        return
    assert chosen in proposed
    lossless = [uid for uid in proposed if uid not in NOT_DATA_SETS and transfer_syntax(uid).lossless]
    explicit = [uid for uid in lossless if transfer_syntax(uid).explicit]
    if lossless:
        assert chosen == (explicit or lossless)[0]
