from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from node.cli.serve import _becomes_alone
from node.errors import ConfigurationError
from node.spool.alone import Alone
from tests import make
from tests.cli.command import dicom_node, program, serving
from tests.peers import free_port, send


def rules(folder: Path, **node: object) -> Path:
    path = folder / "rules.yaml"
    content = {"ae_title": "NODE", "listen": "127.0.0.1:0", "status": "off", "limits": {"keep_free": "1MiB"}} | node
    path.write_text(json.dumps({"node": content}))
    return path


def test_one_line_says_ready_and_sigterm_ends_with_0(tmp_path: Path) -> None:
    path = rules(tmp_path)
    with serving(path) as (process, ready):
        assert ready.startswith("dicom-node ready: NODE on 127.0.0.1:")
        port = int(ready.split(",")[0].rpartition(":")[2])
        assert send(port, make.ct_series(2, rows=8, columns=8)) == [0x0000, 0x0000]
        process.send_signal(signal.SIGTERM)
        path.touch()  # a change in the moment of the stop is no error either
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (0, "")
        assert "[error" not in err
        assert "stopping: 0 associations are open, 0 of them with an instance on its way" in err
        assert "stopped: 2 instances received since the start; left for the next start: 1 open units" in err
    assert dicom_node("ledger", "--config", path, "--json").json["acknowledged"] == 2


def test_a_sigterm_that_comes_while_it_starts_ends_it_with_0(tmp_path: Path) -> None:
    process = program("serve", "--config", rules(tmp_path))
    with process:
        deadline = time.monotonic() + 30
        while not _catches(process.pid, signal.SIGTERM):
            assert process.poll() is None
            assert time.monotonic() < deadline
            os.sched_yield()
        assert not (tmp_path / "data").exists(), "it has begun already"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "stopped: 0 instances received since the start" in err


def _catches(process: int, number: int) -> bool:
    """Whether it has a handler for a signal (proc_pid_status(5))."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def test_a_hangup_reads_the_rules_again_and_ends_nothing(tmp_path: Path) -> None:
    path = rules(tmp_path)
    with serving(path) as (process, ready):
        port = int(ready.split(",")[0].rpartition(":")[2])
        assert process.stderr is not None
        process.send_signal(signal.SIGHUP)
        assert "rules.yaml is read again, as asked" in process.stderr.readline()
        assert send(port, make.ct_series(1, rows=8, columns=8)) == [0x0000]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0


def test_health_and_metrics_answer_on_the_address_that_status_names(tmp_path: Path) -> None:
    port = free_port()
    with serving(rules(tmp_path, status=f"0.0.0.0:{port}")) as (_, ready):
        assert ready
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz") as answer:
            assert answer.status == 200
            assert json.load(answer)["database"] == "ok"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert b"dicom_node_jobs 0.0" in answer.read()


def test_an_ipv6_address_is_shown_as_it_is_written_in_the_rules(tmp_path: Path) -> None:
    with serving(rules(tmp_path, listen="[::]:0", senders="anyone")) as (_, ready):
        shown = ready.split(" on ")[1].split(",")[0]
    assert shown.startswith("[::]:")
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        address = f"[::1]:{taken.getsockname()[1]}"
        process = program("serve", "--config", rules(tmp_path, listen=address))
        _, err = process.communicate(timeout=60)
    assert err.splitlines()[-1] == f"node: listen: cannot listen on {address}: Address already in use"


@pytest.mark.parametrize("what", ["listen", pytest.param("status", marks=pytest.mark.full)])
def test_a_port_that_is_in_use_is_said_and_ends_with_2(tmp_path: Path, what: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        process = program("serve", "--config", rules(tmp_path, **{what: address}))
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err.splitlines()[-1] == f"node: {what}: cannot listen on {address}: Address already in use"
    assert "Traceback" not in err


@pytest.mark.parametrize("key", ["data", pytest.param("watch", marks=pytest.mark.full)])
def test_a_folder_that_cannot_be_made_is_named_and_ends_with_2(tmp_path: Path, key: str) -> None:
    (in_the_way := tmp_path / "not-mounted").touch()
    value: object = [{"path": str(in_the_way)}] if key == "watch" else str(in_the_way)
    process = program("serve", "--config", rules(tmp_path, **{key: value}))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err.splitlines()[-1] == f"{in_the_way} cannot be used: File exists"


def test_a_second_node_on_a_sqlite_database_waits_for_the_end_of_the_first(tmp_path: Path) -> None:
    path = rules(tmp_path)
    with serving(path) as (first, _):
        second = program("serve", "--config", path)
        assert second.stderr is not None
        assert second.stdout is not None
        said = second.stderr.readline()
        assert f"another node still runs on {tmp_path / 'data'}" in said
        assert f"-{first.pid}-" in said, "which one"
        first.send_signal(signal.SIGTERM)
        assert second.stdout.readline().startswith("dicom-node ready")
        assert first.wait(30) == 0
        second.send_signal(signal.SIGTERM)
        second.communicate(timeout=30)
    assert second.returncode == 0


def test_a_second_node_that_is_told_to_end_while_it_waits_ends_with_0(tmp_path: Path) -> None:
    path = rules(tmp_path)
    with serving(path):
        second = program("serve", "--config", path)
        assert second.stderr is not None
        assert "another node still runs" in second.stderr.readline()
        second.send_signal(signal.SIGTERM)
        assert second.communicate(timeout=30)[0] == ""
    assert second.returncode == 0


def test_a_second_node_on_a_sqlite_database_is_refused_when_the_first_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.cli.serve._UNTIL_ENDED", 0.2)
    run = tmp_path / "data" / "run"
    with closing(Alone(run)) as first, closing(Alone(run)) as second:
        assert first.others() == ""
        with pytest.raises(ConfigurationError, match=r"another node runs on .*/data .*need a PostgreSQL"):
            _becomes_alone(second, tmp_path / "data", threading.Event())


def test_broken_rules_end_with_2_before_anything_is_made(tmp_path: Path) -> None:
    path = rules(tmp_path, lisen="127.0.0.1:0")
    process = program("serve", "--config", path)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert 'Did you mean "listen"?' in err
    assert not (tmp_path / "data").exists()
