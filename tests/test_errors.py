"""What went wrong because the machine had no more of something is told from a fault of the node."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from node.errors import lacking


def test_memory_and_threads_are_the_machines_and_a_bug_is_not() -> None:
    assert lacking(MemoryError()) == "there is no memory left"
    assert lacking(RuntimeError("cannot join thread before it is started")) == ""
    assert lacking(ValueError("can't start new thread")) == ""


def test_a_thread_that_the_system_does_not_give_is_known_by_what_python_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for a stack that no machine has, it fails in the same place and with the same words."""
    before = threading.stack_size(1 << 46)
    try:
        with ThreadPoolExecutor(1) as threads, pytest.raises(RuntimeError) as raised:
            threads.submit(int)
    finally:
        threading.stack_size(before)
    assert lacking(raised.value) == "the system gives no more threads"
