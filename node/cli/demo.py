"""`dicom-node demo`: the whole way on this machine, with real images over real sockets.

The images are those that ship inside pydicom. A node and an archive listen on free loopback ports; everything
lies in a temporary folder, or in the one that `--data` names. Nothing is assumed: the archive is asked what it
holds, the folder is looked into, and the ledger is counted.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node.cli.demo_archive import Archive, images

if TYPE_CHECKING:
    from node.deliver.base import Parcel
    from node.index.ledger import Ledger
    from node.service import Service

RULES = """\
node:
  ae_title: NODE
  listen: 127.0.0.1:0
  data: ./data
  status: off
  limits: {{keep_free: 64MiB}}
complete: {{series: {{quiet: 2s}}, study: {{quiet: 3s}}}}
destinations:
  archive: {{dicom: "ARCHIVE@127.0.0.1:{port}", accepts: deidentified}}
  share: {{folder: ./out, accepts: deidentified, layout: "{{PatientID}}/{{SeriesNumber}}_{{Modality}}"}}
routes:
  - name: volumes
    when: {{Modality: [CT, MR, PT]}}
    steps: [anonymize, {{forward: archive}}, decompress, nifti, {{forward: {{to: share, what: [nifti, report]}}}}]
  - name: everything-else
    when: otherwise
    steps: [anonymize, {{forward: archive}}]
"""

EXPECTED_VOLUMES = ("CT_small.dcm", "MR_small.dcm")
"""Images of pydicom that must come out as a volume: one slice each, with thickness and position."""
_PATIENCE = 180.0


def demo(folder: Path | None, as_json: bool) -> int:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        return _demo(folder.resolve(), as_json)
    with tempfile.TemporaryDirectory(prefix="dicom-node-demo-") as temporary:
        return _demo(Path(temporary), as_json, kept=False)


def _demo(folder: Path, as_json: bool, *, kept: bool = True) -> int:
    from node.report.log import configure
    from node.service import build

    say = Teller(quiet=as_json)
    configure("console", "ERROR")
    for old in ("data", "out", "archive"):
        shutil.rmtree(folder / old, ignore_errors=True)
    archive = Archive(folder / "archive")
    try:
        rules = folder / "rules.yaml"
        rules.write_text(RULES.format(port=archive.port))
        service = build(rules)
        service.start()
        try:
            port = service.listening[0][1]
            say.line(f"node NODE listens on 127.0.0.1:{port}, archive ARCHIVE on 127.0.0.1:{archive.port}")
            sent = _send(port, say)
            ledger = _wait(service, say)
            facts = _facts(service, folder, archive, sent, ledger)
        finally:
            service.stop()
    finally:
        archive.stop()
    if as_json:
        print(json.dumps(facts))
    else:
        _tell(facts, folder, kept)
    return 0 if facts["balanced"] and not facts["missing"] else 1


@dataclass(slots=True)
class Teller:
    """Progress: a line that is rewritten on a terminal, its last state elsewhere, nothing with --json."""

    quiet: bool
    _last: str = ""

    def line(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)

    def progress(self, text: str) -> None:
        if not self.quiet and text != self._last and sys.stdout.isatty():
            print(f"\r\x1b[2K{text}", end="", flush=True)
        self._last = text

    def done(self) -> None:
        if not self.quiet:
            print("" if sys.stdout.isatty() else self._last, flush=True)


def _send(port: int, say: Teller) -> dict[str, int]:
    """Send pydicom's images; returns how many were offered and acknowledged."""
    from node.deliver.base import Outcome
    from node.deliver.dicom import DicomTarget

    parcels = images()
    answered: list[Any] = []

    def record(parcel: Parcel, result: Any) -> None:
        answered.append(result)
        say.progress(f"sent {len(answered)} of {len(parcels)} images")

    DicomTarget("NODE", "127.0.0.1", port, "DEMO").deliver(parcels, record, lambda: False)
    say.done()
    acknowledged = sum(1 for r in answered if r.outcome is Outcome.DELIVERED)
    return {"offered": len(parcels), "acknowledged": acknowledged}


def _wait(service: Service, say: Teller) -> Ledger:
    """Until every instance is somewhere for good."""
    from node.model import State
    from node.report.health import take_ledger

    deadline = time.monotonic() + _PATIENCE
    while True:
        with service.database.reader.connect() as connection:
            ledger = take_ledger(connection, service.spool, service.rules.current().routed)
        moving = on_the_way(ledger)
        say.progress(
            f"{moving} on the way, {ledger.states[State.DELIVERED]} delivered, {ledger.states[State.HELD]} held"
        )
        if not moving or time.monotonic() > deadline:
            say.done()
            return ledger
        time.sleep(0.2)


def on_the_way(ledger: Ledger) -> int:
    """What is not somewhere for good: instances, and what is owed for one that counts as held, its worst state, and is
    on its way to another destination all the same."""
    from node.model import State

    instances = ledger.states[State.IN_JOB] + ledger.states[State.WAITING] + ledger.unindexed
    return instances or ledger.obligations.get("in_job", 0) + ledger.obligations.get("waiting", 0)


def _facts(service: Service, folder: Path, archive: Archive, sent: dict[str, int], ledger: Ledger) -> dict[str, Any]:
    from node.index.overview import overview
    from node.index.story import story
    from node.model import State

    kinds = service.rules.current().routed
    with service.database.reader.connect() as connection:
        series = [s for uid in _series(connection) if (s := story(connection, uid, kinds)) is not None]
        held = overview(connection, kinds)["held"]
    volumes = sorted(str(p.relative_to(folder)) for p in (folder / "out").rglob("*.nii.gz"))
    return {
        "sent": sent, "series": series, "held": held, "volumes": volumes,
        "archive": len(archive.keeper.times), "repeated": sum(1 for n in archive.keeper.times.values() if n > 1),
        "ledger": {s.value: n for s, n in ledger.states.items()}, "acknowledged": ledger.acknowledged,
        "balanced": ledger.balanced and not ledger.states[State.IN_JOB] and not ledger.states[State.WAITING],
        "missing": _missing(series, archive, volumes, sent, ledger),
    }  # fmt: skip


def _series(connection: Any) -> Sequence[str]:
    import sqlalchemy as sa

    from node.index.schema import receipt

    rows: Sequence[str] = connection.scalars(sa.select(receipt.c.series).distinct().order_by(receipt.c.series)).all()
    return rows


def _missing(
    series: Sequence[dict[str, Any]], archive: Archive, volumes: Sequence[str], sent: dict[str, int], ledger: Ledger
) -> list[str]:
    """What should be there and is not: compared with what archive and folder really hold."""
    missing = []
    if sent["acknowledged"] != sent["offered"]:
        missing.append(f"{sent['offered'] - sent['acknowledged']} images were not acknowledged")
    if ledger.acknowledged != sent["acknowledged"]:
        missing.append(f"the ledger counts {ledger.acknowledged} of {sent['acknowledged']} acknowledged images")
    owed = sum(
        o["instances"]
        for s in series for u in s["units"] if u["kind"] == "series" for j in u["jobs"] for o in j["obligations"]
        if o["target"] == "archive" and o["state"] == "delivered"
    )  # fmt: skip
    if owed != len(archive.keeper.times):
        missing.append(f"{owed} instances count as delivered, the archive holds {len(archive.keeper.times)}")
    placed = sum(1 for s in series for u in s["units"] for j in u["jobs"] if _made_volumes(j))
    if placed > len(volumes) or len(volumes) < len(EXPECTED_VOLUMES):
        missing.append(f"{placed} series were converted, the folder holds {len(volumes)} volumes")
    return missing


def _made_volumes(job: dict[str, Any]) -> bool:
    return any(o["target"] == "share" and o["state"] == "delivered" for o in job["obligations"])


def _tell(facts: dict[str, Any], folder: Path, kept: bool) -> None:
    for one in facts["series"]:
        first = one["instances"][0]
        print(f"\nseries {one['uid']}: {len(one['instances'])} from {first['calling_ae']}")
        for unit in (u for u in one["units"] if u["kind"] == "series"):
            for closed in unit["completions"]:
                print(f"  complete: {closed['evidence']}")
            for job in unit["jobs"]:
                for line in job["history"]:
                    if line["what"] == "step":
                        print(f"  {job['route']}: {line['text']}")
                for owed in job["obligations"]:
                    why = f": {owed['reason']}" if owed["reason"] else ""
                    print(f"  to {owed['target']}: {owed['instances']} {owed['state']}{why}")
    held: Counter[str] = Counter()
    for one in facts["held"]:
        held[one["reason"]] += one["instances"]
    print("\nheld for a person, and not sent:")
    for reason, count in held.most_common():
        print(f"{count:>4}  {reason}")
    print("\nledger: " + ", ".join(f"{n} {s}" for s, n in facts["ledger"].items() if n), end="")
    print(f"; {facts['acknowledged']} acknowledged, {'balanced' if facts['balanced'] else 'NOT BALANCED'}")
    print(f"archive: {facts['archive']} instances; volumes: {len(facts['volumes'])}")
    for text in facts["missing"]:
        print(f"MISSING: {text}", file=sys.stderr)
    if kept:
        print(f"files: {folder / 'archive'}, {folder / 'out'}, {folder / 'data'}; rules: {folder / 'rules.yaml'}")
    else:
        print("the files were temporary; keep them with --data DIR")
