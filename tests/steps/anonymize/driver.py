"""Anonymize one data set through the step, from file to file."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import FileDataset

from node.model import Batch, Disclosure
from node.steps.anonymize import Anonymize
from tests.steps.run_step import batch_of, run_step

SECRET = b"a secret of thirty-two bytes or so"


def reread(ds: FileDataset) -> FileDataset:
    """As it comes from a file: raw elements, and nothing that was only set."""
    file = BytesIO()
    ds.save_as(file, enforce_file_format=True)
    file.seek(0)
    return dcmread(file)


def run(ds: FileDataset | Path, tmp_path: Path, *, secret: bytes = SECRET, **options: Any) -> Batch:
    """The step's batch for one instance; a data set is saved to a file first."""
    path = ds if isinstance(ds, Path) else tmp_path / "in.dcm"
    if isinstance(ds, FileDataset):
        ds.save_as(path, enforce_file_format=True)
    batch = run_step(Anonymize(**options), batch_of([path]), tmp_path, {"secret": secret})
    assert batch.disclosure is Disclosure.DEIDENTIFIED
    return batch


def output(ds: FileDataset | Path, tmp_path: Path, **options: Any) -> Path:
    """The de-identified file; fails where the instance is held."""
    batch = run(ds, tmp_path, **options)
    assert not batch.held, batch.held[0].reason
    return batch.items[0].path


def result(ds: FileDataset | Path, tmp_path: Path, **options: Any) -> FileDataset:
    return dcmread(output(ds, tmp_path, **options))


def why_held(ds: FileDataset | Path, tmp_path: Path, **options: Any) -> str:
    """The reason; fails where something was passed on or written."""
    batch = run(ds, tmp_path, **options)
    assert not batch.items
    assert not list((tmp_path / "out").iterdir())
    return batch.held[0].reason
