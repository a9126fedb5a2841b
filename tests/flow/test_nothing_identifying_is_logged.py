"""A run in which much goes wrong, for a patient with unmistakable values: none of them is where they must not be.

They may be in the spool, in the header column of the index (matching reads it), in the layout fields of parcels, and
in the paths of a destination folder that asks for them; nowhere else.
"""

from __future__ import annotations

import copy
import io
import logging
import urllib.request
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from pydicom.dataset import FileDataset

from node.report.log import configure
from tests import make
from tests.flow.nodes import PATIENCE, Site
from tests.peers import Instance, Recorder, free_port, send

NAME, PATIENT, BIRTH, ACCESSION, DESCRIPTION = "Quetzal^Xiomara", "PID-77411", "19310707", "ACC-90817", "Zebrafinch"
VALUES = ["Quetzal", "Xiomara", PATIENT, BIRTH, ACCESSION, DESCRIPTION, "Doctorow"]
RULES = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: identified}
  share: {folder: ./out, accepts: identified, layout: "{PatientID}/{StudyDate}"}
  research: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: deidentified}
routes:
  - name: clinical
    when: {PatientName: "*", StudyDescription: "zebra*"}
    steps: [{forward: archive}, {forward: share}]
  - name: research
    when: {Modality: CT}
    steps: [anonymize, decompress, nifti, {forward: research}]
"""
MAY_HOLD_THEM = {
    ("node_receipt", "header"),
    ("node_parcel", "fields"),
    ("node_parcel", "place"),
    ("node_published", "path"),
    # Who became whom: what the crosswalk is for. On SQLite it is a file of its own.
    ("crosswalk_patient", "patient_id"),
    ("crosswalk_patient", "patient_id_folded"),
}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that the process logs, as `serve` sets it up, at the chattiest level."""
    stream, root, node = io.StringIO(), logging.getLogger(), logging.getLogger("node")
    before = (root.level, node.level)
    configure("json", "DEBUG", stream)
    yield stream
    for handler in [one for one in root.handlers if getattr(one, "of_the_node", False)]:
        root.removeHandler(handler)
    root.setLevel(before[0])
    node.setLevel(before[1])


def patient() -> list[FileDataset]:
    series = make.ct_series(4, rows=64, columns=64)
    for one in series:
        one.PatientName, one.PatientID, one.PatientBirthDate = NAME, PATIENT, BIRTH
        one.AccessionNumber, one.StudyDescription, one.ReferringPhysicianName = ACCESSION, DESCRIPTION, "Doctorow^E"
    series[0].BurnedInAnnotation = "YES"
    series[1].ImagePositionPatient = [0, 0, 9999]  # a gap that no volume may have
    return series


def test_nothing_identifying_is_logged(site: Site, log: io.StringIO, capfd: pytest.CaptureFixture[str]) -> None:
    site, series, status = site, patient(), free_port()
    other = copy.deepcopy(series[2])
    other.PatientName = f"{NAME}^Other"
    broken = Instance.of(series[3])
    broken = Instance(
        sop_class=broken.sop_class, sop_instance="1.2.3", transfer_syntax=broken.transfer_syntax,
        data=broken.data[: len(broken.data) // 3],
    )  # fmt: skip
    with Recorder(refuse=0xC000, refuse_when=lambda one: one.sop_instance == series[2].SOPInstanceUID) as archive:
        site.rules(RULES, port=archive.port, node=f"status: 127.0.0.1:{status}")
        with site.running() as node:
            send(node.port, [*series, broken])
            site.settled(4)
            send(node.port, [other, series[0]])
            site.settled(6)
            with urllib.request.urlopen(f"http://127.0.0.1:{status}/metrics", timeout=PATIENCE) as answer:
                metrics = answer.read().decode()
            told = str([site.story(make.uid("study")), site.held()])
    logged, printed = log.getvalue(), "".join(capfd.readouterr())
    assert "complete" in logged
    assert "refused" in logged
    for place, text in {"log": logged, "output": printed, "metrics": metrics, "explain": told}.items():
        assert found(text) == [], f"{place}: {around(text)}"
    cells = identifying_cells(site)
    assert {place: text for place, text in cells.items() if place not in MAY_HOLD_THEM} == {}
    assert ("node_parcel", "fields") in cells  # else this test looks in the wrong places


def found(text: str) -> list[str]:
    return [value for value in VALUES if value.lower() in text.lower()]


def around(text: str) -> str:
    at = text.lower().find(found(text)[0].lower())
    return text[max(0, at - 200) : at + 100]


def identifying_cells(site: Site) -> dict[tuple[str, str], str]:
    """(table, column) -> the value, of every cell of every table, DBOS's among them, that names the patient."""
    engine, cells = site.opened.database.reader, {}
    inspector = sa.inspect(engine)
    for schema in inspector.get_schema_names():
        if schema == "information_schema":
            continue
        for table in inspector.get_table_names(schema=schema):
            quoted = f'"{schema}"."{table}"'
            with engine.connect() as connection:
                for row in connection.execute(sa.text(f"SELECT * FROM {quoted}")).mappings():
                    for column, value in row.items():
                        text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                        if found(text):
                            cells[table, column] = text[:200]
    return cells
