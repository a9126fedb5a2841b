"""pynetdicom's own tests of associations, run against our classes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pynetdicom
import pytest

from tests.house.sources import ROOT

FOLDER = Path(pynetdicom.__file__).parent / "tests"


def counts_of(tmp_path: Path, *names: str) -> dict[str, int]:
    """Tests by outcome, and the associations that our classes served."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    files = [str(FOLDER / f"test_{name}.py") for name in names]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", str(tmp_path / "pytest.ini"), "-p", "tests.receive.shipped",
         "-p", "no:cacheprovider", "-n0", "--timeout=60", "-q", *files],
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    found = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|errors?|associations)",
                                                              run.stdout)}  # fmt: skip
    assert run.returncode == 0, run.stdout[-4000:]
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("service_verification", "dul"), id="a sample"),
        pytest.param(("service_storage", "acse", "assoc", "transport"), id="the rest", marks=pytest.mark.full),
    ],
)
def test_pynetdicoms_own_tests_pass_on_our_classes(
    tmp_path: Path, names: tuple[str, ...], record_property: Callable[[str, object], None]
) -> None:
    counts = counts_of(tmp_path, *names)
    assert counts["associations"] > 0
    record_property("figures", f"pynetdicom's tests of {', '.join(names)}: {counts}")
