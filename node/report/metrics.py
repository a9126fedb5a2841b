"""The node's figures for Prometheus, in a registry of their own. Labels are AE titles and names from rules.yaml."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_MOST_SENDERS = 200
"""Distinct calling AE titles that get a label. Anyone who may connect chooses theirs; the rest are `other`."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is counted in the database and in this process, read at every scrape."""

    states: Mapping[str, int] = field(default_factory=dict)
    """Acknowledged instances by their worst state, as `dicom-node ledger` says."""
    queues: Mapping[str, int] = field(default_factory=dict)
    """Parcels that wait, by destination."""
    jobs: int = 0
    """Jobs that are running or wait for their turn."""
    commitments: Mapping[str, int] = field(default_factory=dict)
    """Requests for storage commitment whose report is due yet, or was given up."""
    associations: int = 0
    """Established at this moment."""
    low: bool = False
    """Instances are refused for want of room."""
    certificates: Mapping[str, float] = field(default_factory=dict)
    """Days until each of our TLS certificates ends, by its place in rules.yaml."""
    faults: Mapping[str, int] = field(default_factory=dict)
    """Instances for which the ledger does not balance, by kind."""
    recounted: float = 0.0
    """Seconds since every instance was looked at."""


class Metrics:
    """Counters that the parts of one process add to, and gauges read from `figures` at every scrape.

    `figures` may be called from several threads at once; what it raises fails that scrape only.
    """

    def __init__(self, figures: Callable[[], Figures] = Figures) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._senders: set[str] = set()
        self._lock = Lock()
        by_sender = ("calling_ae", "called_ae")
        self._received = self._counter("received", "Instances acknowledged with success.", *by_sender)
        self._refused = self._counter("refused", "C-STORE requests answered with a failure.", *by_sender, "status")
        self._turned_away = self._counter(
            "turned_away", "Associations and presentation contexts refused, associations ended.", "what", "reason"
        )
        self._seconds = Histogram(
            "dicom_node_receive_seconds",
            "From the first byte of a C-STORE request to its answer.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.registry.register(_Gauges(figures))

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"dicom_node_{name}", text, labels, registry=self.registry)

    def received(self, calling_ae: str, called_ae: str, seconds: float) -> None:
        self._received.labels(self._sender(calling_ae), called_ae).inc()
        self._seconds.observe(seconds)

    def pulled(self, calling_ae: str, called_ae: str) -> None:
        """An instance that was got from its source, because it was missing."""
        self._received.labels(self._sender(calling_ae), called_ae).inc()

    def taken_in(self, called_ae: str) -> None:
        """One from a watched folder: counted as of the sender `folder`. It has no time between request and answer."""
        self._received.labels("folder", called_ae).inc()

    def refused(self, calling_ae: str, called_ae: str, status: int) -> None:
        self._refused.labels(self._sender(calling_ae), called_ae, f"0x{status:04X}").inc()

    def turned_away(self, what: str, reason: str) -> None:
        """What: `association`, `context`, or `ended` for an association that had been established."""
        self._turned_away.labels(what, reason).inc()

    def _sender(self, calling_ae: str) -> str:
        with self._lock:
            if len(self._senders) < _MOST_SENDERS:
                self._senders.add(calling_ae)
            return calling_ae if calling_ae in self._senders else "other"


class _Gauges(Collector):
    def __init__(self, figures: Callable[[], Figures]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[GaugeMetricFamily]:
        figures = self._figures()
        states = GaugeMetricFamily("dicom_node_instances", "Acknowledged instances by state.", labels=["state"])
        for state, count in figures.states.items():
            states.add_metric([state], count)
        queues = GaugeMetricFamily("dicom_node_waiting", "Parcels waiting in the outbox.", labels=["destination"])
        for destination, count in figures.queues.items():
            queues.add_metric([destination], count)
        yield from (states, queues)
        faults = GaugeMetricFamily(
            "dicom_node_ledger_faults", "Instances for which the ledger does not balance.", labels=["kind"]
        )
        for kind, count in figures.faults.items():
            faults.add_metric([kind], count)
        yield faults
        yield GaugeMetricFamily(
            "dicom_node_ledger_balanced", "1 while every acknowledged instance is accounted for.",
            value=not any(figures.faults.values()),
        )  # fmt: skip
        yield GaugeMetricFamily(
            "dicom_node_ledger_recounted_seconds", "Since every instance was last looked at.", value=figures.recounted
        )
        yield GaugeMetricFamily("dicom_node_jobs", "Jobs running or waiting.", value=figures.jobs)
        yield GaugeMetricFamily("dicom_node_associations", "Associations established.", value=figures.associations)
        asked = GaugeMetricFamily(
            "dicom_node_commitments", "Requests for commitment without an answer that got through.", labels=["state"]
        )
        for state, count in figures.commitments.items():
            asked.add_metric([state], count)
        yield asked
        days = GaugeMetricFamily("dicom_node_certificate_days", "Days until a certificate ends.", labels=["place"])
        for place, left in figures.certificates.items():
            days.add_metric([place], left)
        yield days
        yield GaugeMetricFamily("dicom_node_disk_low", "1 while instances are refused for room.", value=figures.low)
