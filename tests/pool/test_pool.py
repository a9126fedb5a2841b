"""Workers die, hang, and grow; the node goes on, and the task says what happened."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.errors import CannotSucceed, TryAgain
from node.pool import Pool, WorkerDied
from tests.pool import tasks


@contextmanager
def workers(size: int = 1, **limits: float) -> Iterator[Pool]:
    pool = Pool(size, **limits)  # type: ignore[arg-type]  # memory is an int, seconds a float
    try:
        yield pool
    finally:
        pool.close()


def eventually(what: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_task_gives_its_answer_from_another_process(pool: Pool) -> None:
    assert pool.call(tasks.add, 2, 3) == 5
    assert pool.call(tasks.process) != os.getpid()
    assert pool.call(tasks.parent) == os.getpid()


def test_a_worker_is_used_again() -> None:
    with workers() as pool:
        assert pool.call(tasks.process) == pool.call(tasks.process)


@pytest.mark.parametrize(("end", "said"), [((tasks.die,), "SIGSEGV"), ((tasks.leave, 3), "exit 3")])
def test_a_worker_that_dies_fails_its_task_alone(pool: Pool, end: tuple[object, ...], said: str) -> None:
    with pytest.raises(WorkerDied, match=said):
        pool.call(*end)  # type: ignore[arg-type]  # a task and its arguments
    assert pool.call(tasks.add, 1, 1) == 2


def test_a_task_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    with workers(seconds=0.5) as pool:
        with pytest.raises(CannotSucceed, match=r"longer than 0\.5 s"):
            pool.call(tasks.sleep, tmp_path / "pid", 60.0)
        assert not alive(int((tmp_path / "pid").read_text()))


def test_one_task_may_be_given_less_time_than_the_others(tmp_path: Path) -> None:
    with workers() as pool:
        pool.call(tasks.add, 1, 1)  # a worker is there: its start counts too
        with pytest.raises(CannotSucceed, match=r"longer than 0\.5 s"):
            pool.call_within(0.5, tasks.sleep, tmp_path / "pid", 60.0)
        assert not alive(int((tmp_path / "pid").read_text()))
        assert pool.call(tasks.add, 1, 1) == pool.call_within(60.0, tasks.add, 1, 1) == 2


def test_one_task_may_be_given_more_time_than_the_others(tmp_path: Path) -> None:
    with workers(seconds=0.01) as pool:
        pool.call_within(60.0, tasks.sleep, tmp_path / "pid", 0.1)


def test_waiting_for_a_worker_is_not_counted_as_time_of_the_task(tmp_path: Path) -> None:
    with workers() as pool, ThreadPoolExecutor(1) as other:
        pool.call(tasks.add, 1, 1)  # a worker is there: its start counts too
        first = other.submit(pool.call, tasks.sleep, tmp_path / "pid", 1.0)
        eventually((tmp_path / "pid").exists)
        assert pool.call_within(0.5, tasks.add, 1, 1) == 2
        first.result()


def test_a_task_that_takes_too_much_memory_is_told_so() -> None:
    with workers(memory=1 << 30) as pool:
        with pytest.raises(CannotSucceed, match="more memory than the 1024 MiB"):
            pool.call(tasks.fill, 2048)
        assert pool.call(tasks.fill, 1) == 1 << 20


def test_many_threads_share_a_few_workers() -> None:
    with workers(2) as pool, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda n: (pool.call(tasks.add, n, n), pool.call(tasks.process)), range(40)))
    assert [total for total, _ in found] == [2 * n for n in range(40)]
    assert len({pid for _, pid in found}) <= 2


def test_a_worker_that_was_killed_while_it_waited_is_replaced() -> None:
    with workers() as pool:
        pid = pool.call(tasks.process)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert pool.call(tasks.process) != pid


def test_a_worker_ends_after_many_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.pool.pool._TASKS_PER_WORKER", 3)
    with workers() as pool:
        pids = [pool.call(tasks.process) for _ in range(6)]
    assert len(set(pids[:3])) == len(set(pids[3:])) == 1
    assert pids[0] != pids[3]


def test_closing_ends_what_runs_and_blames_no_task(tmp_path: Path) -> None:
    """A job must not be held because the node stops."""
    pool = Pool(1)
    raised: list[BaseException] = []

    def work() -> None:
        try:
            pool.call(tasks.sleep, tmp_path / "pid", 60.0)
        except TryAgain as error:
            raised.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    eventually((tmp_path / "pid").exists)
    pool.close()
    for thread in threads:
        thread.join(10)
    assert [str(error) for error in raised] == ["the node is stopping"] * 2
    with pytest.raises(TryAgain):
        pool.call(tasks.add, 1, 1)


def test_descriptors_above_a_thousand_are_no_hindrance() -> None:
    """select() refuses them; a node with many associations has them."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048:
        pytest.skip("this system does not allow 2048 open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        with workers() as pool:
            assert pool.call(tasks.add, 2, 2) == 4
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
