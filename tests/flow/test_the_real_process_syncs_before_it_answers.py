"""What the kernel is asked, in what order, for one C-STORE: strace of the real command."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import make
from tests.flow.nodes import Site, wait_until
from tests.flow.serving import serving
from tests.peers import Instance, Sender

RULES = """
complete: {series: {quiet: 1h}, study: {quiet: 1h}}
routes:
  - {name: none, when: {Modality: NONE}, steps: [drop]}
"""
CALLS = "openat,write,pwrite64,fdatasync,fsync,link,linkat,unlink,unlinkat,sendto,sendmsg,close"


def test_the_real_process_syncs_before_it_answers(sqlite_site: Site, tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    site, trace = sqlite_site, tmp_path / "trace"
    first, second = (Instance.of(one) for one in make.ct_series(2, rows=64, columns=64))
    site.rules(RULES)
    strace = ["strace", "--follow-forks", "--trace", CALLS, "--decode-fds=path", "--output", str(trace)]
    with serving(site.path, under=strace) as node:
        with Sender(node.port, [(first.sop_class, [first.transfer_syntax])]) as sender:
            assert sender.store(first) == 0x0000
            assert sender.store(second) == 0x0000
            wait_until(lambda: len(list(site.opened.spool.kept())) == 2, why=lambda: "both are shown")
        terminate(node.process.pid)
        node.process.wait(20)
    lines = merged(trace.read_text(errors="replace").splitlines())
    kept = next(iter(site.opened.spool.kept()))
    shown = next(found for line in lines if (found := re.search(r"\blink(?:at)?\(.*?([^/\"]+\.part)\".*\.dcm", line)))
    part, incoming = re.escape(shown[1]), r"[^>]*/incoming/[^/>]+"
    in_this_order(
        lines,
        [
            rf"openat\(.*{part}.*O_CREAT",
            rf"fsync\(\d+<{incoming}>\) *= 0",
            rf"write\(\d+<.*{part}>",
            rf"pwrite64\(\d+<.*{part}>",
            rf"fdatasync\(\d+<.*{part}>\) *= 0",
            r"send(to|msg)\(",
        ],
    )
    # It is given its place later, and never without a name on the disk.
    in_this_order(
        [line for line in lines if "send" not in line],
        [
            rf"link(at)?\(.*{part}.*\.dcm.*= 0",
            rf"fsync\(\d+<{re.escape(str(kept.parent))}>\) *= 0",
            rf"unlink(at)?\(.*{part}.*= 0",
        ],
    )
    # The parents of the place are synced too.
    assert any(re.search(rf"fsync\(\d+<{re.escape(str(kept.parent.parent))}>\)", line) for line in lines)


def in_this_order(lines: Sequence[str], patterns: Sequence[str]) -> None:
    """Each pattern matches a line behind the one before it, and nothing was sent to the peer in between."""
    at = next((n for n, line in enumerate(lines) if re.search(patterns[0], line)), None)
    assert at is not None, patterns[0]
    for pattern in patterns[1:]:
        found = next((n for n in range(at + 1, len(lines)) if re.search(pattern, lines[n])), None)
        assert found is not None, f"{pattern} does not follow {lines[at]}"
        assert not any("sendto(" in line for line in lines[at + 1 : found]), f"an answer before {pattern}"
        at = found


def merged(lines: Sequence[str]) -> list[str]:
    """One line per call, where it ended; strace cuts a call in two when another thread's comes between."""
    begun: dict[str, str] = {}
    whole = []
    for line in lines:
        thread, _, call = line.partition(" ")
        if call.endswith("<unfinished ...>"):
            begun[thread] = call.removesuffix("<unfinished ...>").rstrip()
            continue
        resumed = re.search(r"<\.\.\. \w+ resumed>(.*)", call)
        whole.append(begun.pop(thread, "") + resumed[1] if resumed else call)
    return whole


def terminate(strace: int) -> None:
    """SIGTERM to the node itself, its only child: strace keeps what is sent to it to itself."""
    (node,) = Path(f"/proc/{strace}/task/{strace}/children").read_text().split()
    os.kill(int(node), signal.SIGTERM)
