"""One sender, one node, one archive on loopback: receiving alone, and from the first byte to the last delivery.

    python -m benchmarks.whole_way [--instances 200]

The node runs as it ships: synced, hashed, indexed; quiet time 1 s, which is part of the second figure.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.machine import machine
from node.cli.demo_archive import Archive
from node.deliver.base import Parcel
from node.deliver.dicom import DicomTarget
from node.dicom.sniff import Sniffed, sniff
from node.model import Kind
from node.service import Service, build
from tests import make

RULES = """\
node: {{ae_title: NODE, listen: "127.0.0.1:0", data: ./data, status: off, limits: {{keep_free: 64MiB}}}}
complete: {{series: {{quiet: 1s}}, study: {{quiet: 1s}}}}
destinations: {{archive: {{dicom: "ARCHIVE@127.0.0.1:{port}", accepts: deidentified}}}}
routes: [{{name: all, when: always, steps: [anonymize, {{forward: archive}}]}}]
"""


def parcels(folder: Path, count: int) -> list[Parcel]:
    folder.mkdir()
    found = []
    for number, path in enumerate(make.write_all(make.ct_series(slices=count, rows=512, columns=512), folder)):
        one = sniff(path)
        assert isinstance(one, Sniffed)
        found.append(
            Parcel(
                number=number, path=path, kind=Kind.DICOM, sop_class=one.sop_class, sop_instance=one.sop_instance,
                transfer_syntax=one.transfer_syntax,
            )
        )  # fmt: skip
    return found


def measure(service: Service, archive: Archive, sent: list[Parcel]) -> tuple[float, float]:
    """(seconds until the last success, seconds until the archive has all)."""
    began = time.perf_counter()
    target = DicomTarget("NODE", "127.0.0.1", service.listening[0][1], "BENCH")
    target.deliver(sent, lambda parcel, result: None, lambda: False)
    received = time.perf_counter() - began
    deadline = time.perf_counter() + 300
    while len(archive.keeper.times) < len(sent):
        if time.perf_counter() > deadline:
            raise SystemExit(f"only {len(archive.keeper.times)} of {len(sent)} arrived in 300 s")
        time.sleep(0.01)
    return received, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--instances", type=int, default=200)
    count = parser.parse_args().instances
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        sent = parcels(work / "in", count)
        archive = Archive(work / "archive")
        rules = work / "rules.yaml"
        rules.write_text(RULES.format(port=archive.port))
        service = build(rules)
        service.start()
        try:
            received, delivered = measure(service, archive, sent)
        finally:
            service.stop()
            archive.stop()
    print(f"{machine()}; {count} CT 512x512, one association, sender, node and archive on this machine")
    print(f"received     {count / received:8.0f} instances/s, durable before each answer")
    print(f"delivered    {delivered:8.2f} s from the first byte to the last de-identified instance in the archive")


if __name__ == "__main__":
    main()
