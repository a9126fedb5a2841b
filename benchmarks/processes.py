"""Processes of others and of ours: started, waited for, looked at through /proc, ended."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 60.0
"""Seconds in which a program has to start, or to end."""


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def connections(port: int) -> int:
    """Established IPv4 connections to a port of this machine, as its listener has them."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(1 for line in lines if line.split()[3] == "01" and int(line.split()[1].partition(":")[2], 16) == port)


def listening(port: int) -> bool:
    """Whether somebody listens there, without connecting: a stray connection is work for some of them."""
    wanted = f":{port:04X}"
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(wanted) and fields[3] == "0A":
                return True
    return False


def wait_until(what: str, holds: Callable[[], bool], seconds: float = PATIENCE, pause: float = 0.01) -> None:
    """Look again and again. Ends the program when it takes too long."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not after {seconds:.0f} s")
        time.sleep(pause)


@contextmanager
def running(
    command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process group of its own, ended at the end with everything it has started. What it says goes into `log`."""
    with log.open("a") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            env={**os.environ, **(environment or {})}, start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[str]) -> None:
    """SIGTERM to it, then SIGKILL to what is left of its group: both only to what this program has started."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def end_on_sigterm() -> None:
    """SIGTERM ends this program as Ctrl-C does: with what it has started, and without leaving files."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, stop)


def line_of(process: subprocess.Popen[str], log: Path, seconds: float = PATIENCE) -> str:
    """The next line that it prints."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(seconds) else ""
    if not line:
        raise SystemExit(f"process {process.pid} said nothing:\n{log.read_text()[-2000:]}")
    return line


def family(process: int) -> list[int]:
    """A process and everything below it; what ends meanwhile is left out."""
    found = [process]
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{process}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for child in (task / "children").read_text().split():
                    found += family(int(child))
    return found


def cpu_seconds(process: int) -> float:
    """User and system time of a process and of everything below it (proc(5), stat, 14 to 17)."""
    total = 0.0
    for one in family(process):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # then it is among its parent's
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


def title(process: int) -> str:
    """Its command line, short."""
    words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    return " ".join(word.decode(errors="replace").rpartition("/")[2] for word in words if word)[:60]


def memory(process: int, key: str) -> float:
    """VmRSS (now) or VmHWM (the most since `forget_peak`) in MB (10^6 bytes), proc(5)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def forget_peak(process: int) -> None:
    """VmHWM counts from here (proc(5), clear_refs)."""
    Path(f"/proc/{process}/clear_refs").write_text("5")


def threads(process: int) -> int:
    return sum(1 for _ in Path(f"/proc/{process}/task").iterdir())


def descriptors(process: int) -> dict[str, int]:
    """Open descriptors by what they are: socket, pipe, anon_inode, or the folder of a file."""
    kinds: dict[str, int] = {}
    for link in Path(f"/proc/{process}/fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            continue
        kind = target.partition(":")[0] if not target.startswith("/") else str(Path(target).parent)
        kinds[kind] = kinds.get(kind, 0) + 1
    return kinds
