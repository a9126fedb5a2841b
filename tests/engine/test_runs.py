"""What follows from what happened to a run."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.engine.runs import DONE, MOST_DEATHS, STOP, Next, Outcome, Over, Poisoned, Run, Task, after_death

JOB = Run(task=Task.JOB, key="a", steps=4)
AGAIN = Outcome("again", 30)

runs = st.builds(
    Run,
    task=st.sampled_from(Task),
    key=st.text(min_size=1),
    tries=st.integers(1, 9),
    turn=st.integers(0, 99),
    steps=st.just(4),
    start=st.integers(0, 3),
    attempt=st.integers(1, 9),
    deaths=st.integers(0, MOST_DEATHS),
    destination=st.text(),
    concurrent=st.integers(1, 9),
)
outcomes = st.lists(st.just(DONE), max_size=3).flatmap(
    lambda done: st.sampled_from([done, [*done, AGAIN], [*done, STOP]])
)


@given(runs)
def test_a_run_is_stored_as_json_and_comes_back(run: Run) -> None:
    assert Run.read(json.loads(json.dumps(run.stored()))) == run


@given(runs, st.integers(0, 3))
def test_every_successor_has_another_id(run: Run, number: int) -> None:
    for successor in (run.again(number), run.handed_over(number)):
        assert successor.id.removeprefix("alone:") != run.id.removeprefix("alone:")
        assert (successor.key, successor.tries, successor.turn) == (run.key, run.tries, run.turn + 1)


@given(runs, outcomes)
def test_after_a_death_it_goes_on_at_the_first_step_without_a_result(run: Run, so_far: list[Outcome]) -> None:
    decision = after_death(run, so_far)
    if isinstance(decision, Next) and AGAIN not in so_far:
        assert decision.run.start == run.start + len(so_far) < run.steps
        assert decision.run.deaths == (1 if so_far else run.deaths + 1)
        assert decision.after == 0
    if STOP in so_far:
        assert decision == Over()


@given(runs, outcomes)
def test_what_the_database_did_not_take_is_done_again_and_counts_as_no_death(run: Run, so_far: list[Outcome]) -> None:
    decision, after = after_death(run, so_far, died=False), after_death(run, so_far)
    assert not isinstance(decision, Poisoned) or run.deaths > MOST_DEATHS
    if isinstance(decision, Next) and isinstance(after, Next):
        assert decision.run.start == after.run.start
        assert decision.run.deaths <= after.run.deaths


def test_a_wish_for_another_try_that_was_stored_is_fulfilled_after_the_death() -> None:
    assert after_death(JOB, [DONE, AGAIN]) == Next(replace(JOB, start=1, turn=1, attempt=2), after=30)


def test_a_job_that_had_ended_is_over() -> None:
    assert after_death(JOB, [DONE] * 4) == Over()


def test_attempts_count_within_one_step() -> None:
    third = JOB.again(1).again(1)
    assert (third.start, third.attempt) == (1, 3)
    assert third.again(2).attempt == 2
    assert third.handed_over(1).attempt == 3
    assert third.handed_over(2).attempt == 1


def test_the_fourth_death_in_one_step_is_the_last() -> None:
    run = JOB
    for _ in range(MOST_DEATHS):
        decision = after_death(run, [])
        assert isinstance(decision, Next)
        run = decision.run
    assert after_death(run, []) == Poisoned("the process died 4 times in step 0; see the system's log for why")
    assert isinstance(after_death(run, [DONE]), Next)  # it came further: another step, counted anew


@pytest.mark.parametrize(("deaths", "alone"), [(0, False), (1, False), (2, True), (3, True)])
def test_after_two_deaths_it_runs_alone(deaths: int, alone: bool) -> None:
    run = replace(JOB, deaths=deaths)
    assert run.alone is alone
    assert run.id.startswith("alone:") is alone


def test_deliveries_with_the_same_limit_share_a_queue() -> None:
    assert Run(task=Task.DELIVERY, key="d", destination="east", concurrent=2).queue == "send-2"
    assert JOB.queue == "jobs"
