"""What an instance is committed by, and why it is not: the whole table, and what holds for all of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.commitment import Committed, Facts, Failed, Patience, Proof, Wait, judge, next_look, next_question
from node.model import UID

CT, MR = UID("1.2.840.10008.5.1.4.1.1.2"), UID("1.2.840.10008.5.1.4.1.1.4")
PATIENCE = Patience(grace=timedelta(seconds=30), within=timedelta(hours=1))
NEW, OLD = timedelta(seconds=1), timedelta(hours=2)
MINUTE = timedelta(minutes=1)


def facts(**known: bool) -> Facts:
    return Facts(sop_classes={CT}, **known)


def judged(known: Facts, proof: Proof = Proof.DELIVERED, age: timedelta = MINUTE) -> object:
    return judge(CT, known, proof, age, PATIENCE)


# ---- what is there -------------------------------------------------------------------------------------


@pytest.mark.parametrize("proof", Proof)
def test_an_instance_that_was_never_received_is_waited_for_shortly_and_then_failed(proof: Proof) -> None:
    assert isinstance(judged(Facts(), proof, NEW), Wait)
    verdict = judged(Facts(), proof, PATIENCE.grace)
    assert isinstance(verdict, Failed)
    assert verdict.reason == 0x0112


@pytest.mark.parametrize("proof", Proof)
def test_another_sop_class_than_that_of_the_request_is_a_conflict_whatever_is_proven(proof: Proof) -> None:
    known = Facts(sop_classes={MR}, spooled=True, delivered=True, committed=True)
    verdict = judged(known, proof, NEW)
    assert isinstance(verdict, Failed)
    assert verdict.reason == 0x0119


def test_one_of_several_sop_classes_will_do() -> None:
    assert isinstance(judged(Facts(sop_classes={MR, CT}, delivered=True)), Committed)


# ---- the three proofs ----------------------------------------------------------------------------------


def test_stored_asks_for_the_spool_alone() -> None:
    assert isinstance(judged(facts(spooled=True, held=True), Proof.STORED), Committed)
    assert isinstance(judged(facts(delivered=True), Proof.STORED), Committed), "it left the spool for its destination"
    verdict = judged(facts(under_way=True), Proof.STORED)
    assert isinstance(verdict, Failed)
    assert verdict.reason == 0x0112


def test_delivered_asks_for_the_original_at_a_destination() -> None:
    assert isinstance(judged(facts(delivered=True)), Committed)
    assert isinstance(judged(facts(spooled=True, under_way=True)), Wait)
    assert isinstance(judged(facts(spooled=True, waiting=True)), Wait)
    assert isinstance(judged(facts(spooled=True, held=True)), Wait)


def test_what_no_route_brings_anywhere_as_it_came_is_failed_at_once() -> None:
    verdict = judged(facts(spooled=True))
    assert isinstance(verdict, Failed)
    assert verdict.reason == 0x0110


def test_what_a_destination_has_committed_it_has() -> None:
    """Its report may be here before its answer to the C-STORE is in the books."""
    for proof in Proof:
        assert isinstance(judged(facts(committed=True), proof), Committed)


def test_a_failure_stays_the_same_however_old_the_request_is() -> None:
    assert judged(facts(), age=OLD) == judged(facts(), age=NEW)
    assert isinstance(judged(facts(), age=OLD), Failed)


def test_downstream_asks_for_the_word_of_the_destination() -> None:
    assert isinstance(judged(facts(delivered=True, committed=True), Proof.DOWNSTREAM), Committed)
    assert isinstance(judged(facts(delivered=True, askable=True), Proof.DOWNSTREAM), Wait)
    verdict = judged(facts(delivered=True), Proof.DOWNSTREAM)
    assert isinstance(verdict, Failed), "a folder commits nothing"
    assert verdict.reason == 0x0110


# ---- time ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (facts(waiting=True), 0x0213), (facts(waiting=True, held=True), 0x0213), (facts(under_way=True), 0x0213),
        (facts(held=True), 0x0110),
    ],
)  # fmt: skip
def test_after_within_the_sender_is_told_that_there_is_no_proof(known: Facts, reason: int) -> None:
    assert isinstance(judged(known, age=PATIENCE.within - timedelta(seconds=1)), Wait)
    verdict = judged(known, age=PATIENCE.within)
    assert isinstance(verdict, Failed)
    assert verdict.reason == reason


def test_a_destination_that_commits_nothing_ends_in_a_failure_too() -> None:
    verdict = judged(facts(delivered=True, askable=True), Proof.DOWNSTREAM, OLD)
    assert isinstance(verdict, Failed)
    assert verdict.reason == 0x0213


def test_a_proof_that_comes_late_still_counts() -> None:
    assert isinstance(judged(facts(delivered=True), age=OLD), Committed)


KNOWN = st.builds(
    Facts, sop_classes=st.sets(st.sampled_from([CT, MR])), spooled=st.booleans(), delivered=st.booleans(),
    committed=st.booleans(), askable=st.booleans(), waiting=st.booleans(), under_way=st.booleans(), held=st.booleans(),
)  # fmt: skip
AGES = st.integers(0, 10_000).map(lambda s: timedelta(seconds=s))


@given(KNOWN, st.sampled_from(Proof), AGES)
def test_success_has_its_proof_and_its_class(known: Facts, proof: Proof, age: timedelta) -> None:
    if isinstance(judge(CT, known, proof, age, PATIENCE), Committed):
        assert CT in known.sop_classes
        assert {
            Proof.STORED: known.spooled or known.delivered or known.committed,
            Proof.DELIVERED: known.delivered or known.committed,
            Proof.DOWNSTREAM: known.committed,
        }[proof]


@given(KNOWN, st.sampled_from(Proof), AGES)
def test_every_request_ends(known: Facts, proof: Proof, age: timedelta) -> None:
    if age >= PATIENCE.within:
        assert not isinstance(judge(CT, known, proof, age, PATIENCE), Wait)


@given(KNOWN, st.sampled_from(Proof), AGES, AGES)
def test_time_alone_never_turns_a_failure_into_anything_else(
    known: Facts, proof: Proof, age: timedelta, later: timedelta
) -> None:
    first, second = (judge(CT, known, proof, a, PATIENCE) for a in sorted((age, later)))
    if not isinstance(first, Wait):
        assert first == second


@given(KNOWN, st.sampled_from(Proof), AGES)
def test_every_failure_has_a_reason_that_the_standard_knows(known: Facts, proof: Proof, age: timedelta) -> None:
    verdict = judge(CT, known, proof, age, PATIENCE)
    if isinstance(verdict, Failed):
        assert verdict.reason in (0x0110, 0x0112, 0x0119, 0x0213)  # PS3.3 C.14.1.1
        assert verdict.because


@given(st.floats(0, 1e9))
def test_the_older_a_request_the_rarer_it_is_looked_at(age: float) -> None:
    assert 1.0 <= next_look(age) <= next_look(age * 2) <= 60.0


def test_a_destination_is_asked_again_ever_more_rarely() -> None:
    waits = [next_question(tries) for tries in range(40)]
    assert waits[0] == 600
    assert waits == sorted(waits)
    assert waits[-1] == 6 * 3600
