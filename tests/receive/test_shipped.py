"""pynetdicom's own tests of associations, run against our classes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pynetdicom
import pytest

from tests.house.sources import ROOT

FOLDER = Path(pynetdicom.__file__).parent / "tests"


def counts_of(tmp_path: Path, only: str, *names: str) -> dict[str, int]:
    """Tests by outcome, and the associations that our classes served; `only` as pytest's -k."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    files = [str(FOLDER / f"test_{name}.py") for name in names]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", str(tmp_path / "pytest.ini"), "-p", "tests.receive.shipped",
         "-p", "no:cacheprovider", "-n0", "--timeout=60", "-q", "-k", only, *files],
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
        # As a worker they take ports that are free, otherwise 11112: runs side by side would meet there.
        env={**os.environ, "PYTEST_XDIST_WORKER": f"shipped {os.getpid()}"},
    )  # fmt: skip
    found = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|errors?|associations)",
                                                              run.stdout)}  # fmt: skip
    assert run.returncode == 0, run.stdout[-4000:]
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("names", "only"),
    [
        pytest.param(("service_verification", "dul"), "", id="verification and DUL", marks=pytest.mark.full),
        pytest.param(("service_storage", "acse"), "", id="storage and ACSE", marks=pytest.mark.full),
        pytest.param(("transport",), "", id="transport", marks=pytest.mark.full),
        pytest.param(("assoc",), "Send", id="services", marks=pytest.mark.full),
        pytest.param(("assoc",), "not Send", id="associations", marks=pytest.mark.full),
    ],
)
def test_pynetdicoms_own_tests_pass_on_our_classes(
    tmp_path: Path, names: tuple[str, ...], only: str, record_property: Callable[[str, object], None]
) -> None:
    counts = counts_of(tmp_path, only, *names)
    assert counts["associations"] > 0
    what = f"{', '.join(names)} ({only or 'all'})"
    record_property("figures", f"pynetdicom's tests of {what}: {counts}")
