"""One corpus for all tests of it: made once a run of each file, because nothing here changes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.corpus.generate import generate
from benchmarks.corpus.key import Instance

PATIENTS = 14
"""Every visit of every kind, and every character set."""


@dataclass(frozen=True, slots=True)
class Made:
    folder: Path
    instances: tuple[Instance, ...]

    def path(self, instance: Instance) -> Path:
        return self.folder / "files" / instance.file

    def of(self, kind: str) -> Instance:
        """The first object of a modality."""
        return next(one for one in self.instances if one.kind == kind)


@pytest.fixture(scope="package")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("corpus")
    return Made(folder, generate(folder, patients=PATIENTS))


@pytest.fixture(scope="package")
def small(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Three patients: CT with structures, segmentation and report; MR with a document and a mammography; ultrasound."""
    folder = tmp_path_factory.mktemp("small")
    return Made(folder, generate(folder, patients=3))
