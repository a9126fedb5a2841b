"""What is sent of a file: its hash, and the fields of its header that a path may be made of."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from node.dicom.part10 import read_meta
from node.run.contents import layout_fields, of_files, of_instances
from tests import make


def test_a_data_set_is_hashed_without_its_file_meta(tmp_path: Path) -> None:
    path = make.write(make.ct_series(1)[0], tmp_path / "1.dcm")
    (one,) = of_instances([path])
    assert one.sha256 == hashlib.sha256(path.read_bytes()[read_meta(path).dataset_offset :]).hexdigest()
    assert (one.sop_instance, one.sop_class) == (make.uid("study", "series", 1), make.CT_IMAGE)
    assert one.fields["Modality"] == "CT"


def test_another_file_is_hashed_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "1.nii.gz"
    path.write_bytes(b"volume")
    (one,) = of_files([path])
    assert (one.sha256, one.sop_instance, one.fields) == (hashlib.sha256(b"volume").hexdigest(), "", {})


def test_a_worker_that_reads_files_loads_no_database() -> None:
    program = "import sys, node.run.contents, node.run.perform, node.steps; print('sqlalchemy' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.strip() == "False"


def test_layout_fields_are_short_texts_of_the_top_level() -> None:
    header = {
        "00080060": ["CS", ["CT"]], "00200013": ["IS", [7]], "0008103E": ["LO", []], "00080018": ["UI", ["1.2", "3"]],
        "00081140": ["SQ", [{"00081155": ["UI", ["1"]]}]], "7FE00010": ["OW", None], "00091001": ["LO", ["private"]],
    }  # fmt: skip
    assert layout_fields(header) == {"Modality": "CT", "InstanceNumber": "7", "SOPInstanceUID": "1.2"}
