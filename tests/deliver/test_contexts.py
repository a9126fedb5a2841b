from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from node.deliver.base import Parcel
from node.deliver.contexts import MOST_CONTEXTS, UNCOMPRESSED, Context, choose, proposals, refusal, wanted
from node.model import Kind

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
J2K, RLE = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"
CT = "1.2.840.10008.5.1.4.1.1.2"


def parcel(transfer_syntax: str, sop_class: str = CT, number: int = 0) -> Parcel:
    path = Path("x.dcm")
    return Parcel(
        number=number,
        path=path,
        kind=Kind.DICOM,
        sop_class=sop_class,
        sop_instance="1",
        transfer_syntax=transfer_syntax,
    )


def test_a_files_own_transfer_syntax_comes_first_then_explicit_then_implicit() -> None:
    assert wanted(parcel(EXPLICIT)) == (Context(CT, EXPLICIT), Context(CT, IMPLICIT))
    assert wanted(parcel(IMPLICIT)) == (Context(CT, IMPLICIT), Context(CT, EXPLICIT))
    assert wanted(parcel(BIG)) == (Context(CT, BIG), Context(CT, EXPLICIT), Context(CT, IMPLICIT))


def test_a_compressed_file_goes_as_it_is_or_not_at_all() -> None:
    assert wanted(parcel(J2K)) == (Context(CT, J2K),)
    assert choose(parcel(J2K), {Context(CT, EXPLICIT)}) is None


def test_the_best_accepted_context_is_chosen() -> None:
    assert choose(parcel(BIG), {Context(CT, IMPLICIT), Context(CT, EXPLICIT)}) == Context(CT, EXPLICIT)
    assert choose(parcel(BIG), {Context("1.2.3", EXPLICIT)}) is None


def test_a_refusal_says_what_is_taken_instead_and_what_to_add() -> None:
    text = refusal(parcel(J2K), "ARCHIVE", {Context(CT, RLE), Context("1.2.3", IMPLICIT)})
    assert text == (
        "ARCHIVE does not accept CT Image Storage in JPEG 2000 Image Compression (Lossless Only) "
        "(it does in RLE Lossless); add `decompress` before `forward`"
    )


def test_an_uncompressed_file_that_is_refused_needs_another_remedy_than_decompress() -> None:
    assert "decompress" not in refusal(parcel(EXPLICIT), "ARCHIVE", set())


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from([IMPLICIT, EXPLICIT, BIG, J2K, RLE])), max_size=400))
def test_every_parcel_is_in_one_proposal_with_all_its_contexts_in_order(kinds: list[tuple[int, str]]) -> None:
    parcels = [parcel(syntax, f"1.2.{kind}", number) for number, (kind, syntax) in enumerate(kinds)]
    found = list(proposals(parcels))
    assert [one for proposal in found for one in proposal.parcels] == parcels
    for proposal in found:
        assert 0 < len(proposal.contexts) <= MOST_CONTEXTS
        assert len(set(proposal.contexts)) == len(proposal.contexts)
        assert {context for one in proposal.parcels for context in wanted(one)} == set(proposal.contexts)


def test_contexts_are_used_up_before_another_association_begins() -> None:
    parcels = [parcel(EXPLICIT, f"1.2.{n}", n) for n in range(65)]
    assert [len(proposal.contexts) for proposal in proposals(parcels)] == [128, 2]


def test_uncompressed_are_the_four_that_need_no_codec() -> None:
    assert {IMPLICIT, EXPLICIT, BIG, "1.2.840.10008.1.2.1.99"} == UNCOMPRESSED
