"""What a worker says of a task that failed, and what it never says."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import CannotSucceed, TryAgain
from node.pool import Bug, Pool
from node.pool.worker import receive, send
from tests.pool import tasks


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_messages_come_out_as_they_went_in(messages: list[bytes]) -> None:
    pipe = BytesIO()
    for message in messages:
        send(pipe, message)
    pipe.seek(0)
    assert [receive(pipe) for _ in messages] == messages
    assert receive(pipe) is None


def test_half_a_message_is_none() -> None:
    pipe = BytesIO()
    send(pipe, b"whole")
    assert receive(BytesIO(pipe.getvalue()[:-1])) is None
    assert receive(BytesIO(pipe.getvalue()[:3])) is None


def test_our_own_errors_come_back_as_they_are(pool: Pool) -> None:
    with pytest.raises(CannotSucceed, match="nothing in it"):
        pool.call(tasks.cannot)
    with pytest.raises(TryAgain, match="come back later"):
        pool.call(tasks.again)
    with pytest.raises(CannotSucceed, match="no room"):
        pool.call(tasks.refuse)


def test_a_full_disk_is_the_worlds_fault(pool: Pool) -> None:
    with pytest.raises(TryAgain, match="No space left") as raised:
        pool.call(tasks.full)
    assert tasks.SECRET not in str(raised.value)


def test_another_error_of_the_system_is_a_bug(pool: Pool) -> None:
    with pytest.raises(Bug, match="FileNotFoundError"):
        pool.call(tasks.fail_with, errno.ENOENT)


def test_a_bug_names_its_kind_and_place_and_no_values(pool: Pool) -> None:
    with pytest.raises(Bug) as raised:
        pool.call(tasks.bug, tasks.SECRET)
    assert str(raised.value).startswith("ValueError in tasks.py:")
    assert "tasks.py" in raised.value.trace
    assert 'raise ValueError(f"{value} is no date")' in raised.value.trace
    assert "Doe" not in str(raised.value) + raised.value.trace + repr(raised.value)


def test_an_answer_that_cannot_be_sent_is_a_bug(pool: Pool) -> None:
    with pytest.raises(Bug, match=r"tasks|worker"):
        pool.call(tasks.unsendable)
    assert pool.call(tasks.add, 1, 1) == 2


def test_what_libraries_print_warn_and_log_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    fresh = Pool(1)
    try:
        assert fresh.call(tasks.chatter) == "done"
        assert fresh.call(tasks.add, 1, 1) == 2
    finally:
        fresh.close()
    said = capfd.readouterr()
    assert "Doe" not in said.out + said.err


def test_a_worker_ends_with_its_node_also_in_the_middle_of_a_task(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from node.pool import Pool; from tests.pool import tasks\n"
        f"Pool(1).call(tasks.sleep, Path({str(tmp_path / 'pid')!r}), 60.0)"
    )
    node = subprocess.Popen([sys.executable, "-c", program])
    try:
        deadline = time.monotonic() + 30
        while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        node.kill()
        node.wait()
    worker = int((tmp_path / "pid").read_text())
    while Path(f"/proc/{worker}").exists() and "Z" not in _state(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "Z"
