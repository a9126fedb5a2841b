from __future__ import annotations

import pytest
from prometheus_client import REGISTRY
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from node.report.metrics import Figures, Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    """What a scrape would read: {(name, label values in order of label names): value}."""
    text = generate_latest(metrics.registry).decode()
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counters_count_by_ae_titles_and_names() -> None:
    metrics = Metrics()
    metrics.received("CT1", "NODE", 0.004)
    metrics.received("CT1", "NODE", 0.3)
    metrics.refused("CT1", "NODE", 0xA700)
    metrics.turned_away("association", "calling_ae")
    found = samples(metrics)
    assert found["dicom_node_received_total", ("NODE", "CT1")] == 2
    assert found["dicom_node_refused_total", ("NODE", "CT1", "0xA700")] == 1
    assert found["dicom_node_turned_away_total", ("calling_ae", "association")] == 1
    assert found["dicom_node_receive_seconds_bucket", ("0.005",)] == 1
    assert found["dicom_node_receive_seconds_count", ()] == 2


def test_what_a_folder_gives_is_counted_and_takes_no_time() -> None:
    metrics = Metrics()
    metrics.received("CT1", "NODE", 0.3)
    metrics.taken_in("NODE")
    found = samples(metrics)
    assert found["dicom_node_received_total", ("NODE", "folder")] == 1
    assert found["dicom_node_receive_seconds_count", ()] == 1


def test_gauges_are_read_anew_at_every_scrape() -> None:
    waiting = iter([5, 0])
    metrics = Metrics(
        lambda: Figures(
            states={"held": 2},
            queues={"archive": next(waiting)},
            jobs=1,
            associations=3,
            commitments={"given_up": 4},
            certificates={"node.listen[0]": 9},
        )
    )
    first, second = samples(metrics), samples(metrics)
    assert first["dicom_node_instances", ("held",)] == 2
    assert first["dicom_node_waiting", ("archive",)] == 5
    assert first["dicom_node_jobs", ()] == 1
    assert first["dicom_node_associations", ()] == 3
    assert first["dicom_node_commitments", ("given_up",)] == 4
    assert first["dicom_node_disk_low", ()] == 0
    assert first["dicom_node_certificate_days", ("node.listen[0]",)] == 9
    assert second["dicom_node_waiting", ("archive",)] == 0


def test_making_metrics_reads_no_figures_and_touches_no_global_registry() -> None:
    def figures() -> Figures:
        raise AssertionError("read before a scrape")

    before = set(REGISTRY._names_to_collectors)
    Metrics(figures)
    assert set(REGISTRY._names_to_collectors) == before


def test_a_sender_that_invents_titles_cannot_grow_the_registry_without_end() -> None:
    metrics = Metrics()
    for number in range(1000):
        metrics.received(f"AE{number}", "NODE", 0.01)
    found = {
        labels[1]: value for (name, labels), value in samples(metrics).items() if name == "dicom_node_received_total"
    }
    assert len(found) == 201
    assert found["other"] == 800
    metrics.received("AE0", "NODE", 0.01)
    assert samples(metrics)["dicom_node_received_total", ("NODE", "AE0")] == 2


@pytest.mark.parametrize("title", ['A"B', "A\\B", "A\nB", "Ä"])
def test_odd_titles_do_not_break_the_exposition(title: str) -> None:
    metrics = Metrics()
    metrics.received(title, "NODE", 0.01)
    assert samples(metrics)["dicom_node_received_total", ("NODE", title)] == 1
