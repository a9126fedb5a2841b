"""check: a series that fits together passes with its report; one that does not is held or noted, and says why."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import FileDataset

from node.complete import Announced
from node.errors import CannotSucceed
from node.imaging.consistency import FINDINGS
from node.model import Batch, Held, Item, Kind, ReceiptId
from node.steps.check import Check
from tests import make
from tests.data import real, several_real_folders
from tests.steps.run_step import RealWork, batch_of, check_contract
from tests.steps.run_step import run_step as run_any

PET_IMAGE = "1.2.840.10008.5.1.4.1.1.128"


NOTHING: dict[str, Any] = {"announced": ()}


def run_step(step: Check, batch: Batch, tmp_path: Path, announced: Sequence[Announced] = ()) -> Batch:
    return run_any(step, batch, tmp_path, {"announced": announced})


def checked(instances: Sequence[FileDataset], tmp_path: Path, step: Check | None = None) -> tuple[Batch, Batch]:
    batch = batch_of(make.write_all(instances, tmp_path / "in"))
    return batch, run_step(step or Check(), batch, tmp_path)


def reports(batch: Batch) -> list[dict[str, Any]]:
    return [json.loads(item.path.read_text()) for item in report_items(batch)]


def report_items(batch: Batch) -> list[Item]:
    return [item for item in batch.items if item.kind is Kind.REPORT]


def test_a_series_that_fits_together_passes_with_its_report(tmp_path: Path) -> None:
    batch, result = checked(make.ct_series(5), tmp_path)
    assert result.items[:5] == batch.items
    assert result.held == ()
    (facts,) = reports(result)
    assert facts["consistent"] is True
    assert facts["findings"] == []
    assert facts["stacks"] == [
        {"frames": 5, "positions": 5, "images_per_position": [1, 1], "distance_mm": 2.5, "tilt_degrees": 0.0}
    ]
    assert facts["order"]["by"] == "position"
    assert facts["order"]["instance_number"] == "ascending"
    assert facts["order"]["slice_location"] == "absent"
    assert facts["order"]["frames"][0] == {"sop_instance_uid": make.ct_series(5)[0].SOPInstanceUID, "frame": 1}
    assert report_items(result)[0].sources == tuple(item.sources[0] for item in batch.items) or len(
        report_items(result)[0].sources
    ) == len(batch.items)


def test_a_series_that_does_not_is_held_with_the_numbers_and_others_go_on(tmp_path: Path) -> None:
    gap = make.ct_series(6, series="gap")
    del gap[3]
    batch, result = checked([*make.ct_series(3), *gap], tmp_path)
    (held,) = result.held
    assert set(held.sources) == {source for item in batch.items[3:] for source in item.sources}
    assert "missing_position: missing slices: 1; neighbours lie 2.500 mm apart" in held.reason
    assert [item for item in result.items if item.kind is Kind.DICOM] == list(batch.items[:3])
    assert len(report_items(result)) == 1


def test_or_it_is_noted_and_passes(tmp_path: Path) -> None:
    series = make.ct_series(6)
    del series[3]
    batch = batch_of(make.write_all(series, tmp_path / "in"))
    work = RealWork(tmp_path / "out", NOTHING)
    work.out.mkdir()
    step = Check(on_fail="note")
    result = step.run(batch, work)
    check_contract(step, batch, result, work.out)
    assert result.held == ()
    assert any("missing_position" in note for note in work.notes)
    (facts,) = reports(result)
    assert facts["consistent"] is False
    (finding,) = facts["findings"]
    assert finding["what"] == "missing_position"
    assert finding["meaning"] == FINDINGS["missing_position"]


def test_a_finding_that_is_allowed_stays_in_the_report_and_is_no_fault(tmp_path: Path) -> None:
    series = make.ct_series(6)
    del series[3]
    _, result = checked(series, tmp_path, Check(allow=("missing_position",)))
    assert result.held == ()
    (facts,) = reports(result)
    assert facts["consistent"] is True
    assert [(f["what"], f["allowed"]) for f in facts["findings"]] == [("missing_position", True)]


def test_the_instance_that_is_unlike_the_others_is_named_by_its_uid(tmp_path: Path) -> None:
    series = make.ct_series(4)
    series[2].RescaleIntercept = 0
    _, result = checked(series, tmp_path, Check(on_fail="note"))
    assert reports(result)[0]["findings"][0]["sop_instance_uids"] == [series[2].SOPInstanceUID]


def test_a_single_slice_has_no_distance_and_its_thickness_is_not_taken_for_one(tmp_path: Path) -> None:
    _, result = checked(make.ct_series(1), tmp_path)
    (facts,) = reports(result)
    assert facts["stacks"][0]["distance_mm"] is None
    assert "'Slice Thickness' is not taken for it" in facts["assumptions"][0]


def test_an_instance_that_cannot_be_read_is_a_finding_of_its_series(tmp_path: Path) -> None:
    series = make.ct_series(4)
    series[1].HighBit = 3
    _, result = checked(series, tmp_path)
    assert "unreadable: 1 instances; the first: 'High Bit'" in result.held[0].reason
    assert len(result.held[0].sources) == 4


def test_what_is_no_dicom_is_held_alone(tmp_path: Path) -> None:
    paths = make.write_all(make.ct_series(2), tmp_path / "in")
    (tmp_path / "in" / "no.dcm").write_bytes(b"x" * 400)
    batch = batch_of([*paths, tmp_path / "in" / "no.dcm"])
    result = run_step(Check(), batch, tmp_path)
    assert [held.sources for held in result.held] == [batch.items[2].sources]
    assert len(report_items(result)) == 1


def test_a_series_without_images_is_not_judged(tmp_path: Path) -> None:
    batch, result = checked([make.report()], tmp_path)
    assert result == batch


def test_fewer_instances_than_a_concatenation_announces_are_a_finding(tmp_path: Path) -> None:
    ds = make.enhanced_mr(3, 1)
    ds.ConcatenationUID, ds.InConcatenationNumber, ds.InConcatenationTotalNumber = "1.2.3.4", 1, 3
    _, result = checked([ds], tmp_path)
    assert "fewer_than_announced: 1 of 3 instances: concatenation 1.2.3.4" in result.held[0].reason


def test_fewer_than_a_source_counted_are_a_finding_of_that_series(tmp_path: Path) -> None:
    batch = batch_of(make.write_all([*make.ct_series(3), *make.ct_series(2, series="other")], tmp_path / "in"))
    receipts = [item.sources[0] for item in batch.items]
    said = (
        Announced(receipts=frozenset(receipts[:3]), count=4, says="PACS counted (C-FIND)"),
        Announced(receipts=frozenset(receipts[3:]), count=2, says="PACS counted (C-FIND)"),
    )
    result = run_step(Check(), batch, tmp_path, said)
    (held,) = result.held
    assert set(held.sources) == set(receipts[:3])
    assert "fewer_than_announced: 3 of 4 instances: PACS counted (C-FIND)" in held.reason
    assert reports(result)[0]["count"]["announced"][0]["announced"] == 2


def test_what_a_rule_took_out_is_not_missing_and_what_is_held_is(tmp_path: Path) -> None:
    batch = batch_of(make.write_all(make.ct_series(4), tmp_path / "in"))
    gone = batch.items[3].sources[0]
    said = [Announced(receipts=frozenset(item.sources[0] for item in batch.items), count=4, says="CT1 made")]
    dropped = replace(batch, items=batch.items[:3], dropped=(gone,))
    assert run_step(Check(), dropped, tmp_path, said).held == ()
    held = replace(batch, items=batch.items[:3], held=(Held(sources=(gone,), reason="why"),))
    assert "3 of 4 instances" in run_step(Check(), held, tmp_path, said).held[1].reason


def test_what_pet_announces_is_told_and_is_the_most_there_may_be(tmp_path: Path) -> None:
    series = make.ct_series(3)
    for n, ds in enumerate(series):
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = PET_IMAGE
        ds.Modality, ds.SeriesType, ds.NumberOfSlices, ds.RescaleSlope = "PT", ["WHOLE BODY", "IMAGE"], 5, n + 1
    _, result = checked(series, tmp_path)
    (facts,) = reports(result)
    assert facts["count"]["announced"] == [{"says": "the PET series", "announced": 5, "here": 3, "exact": False}]
    assert facts["consistent"] is True


def test_instance_numbers_that_are_absent_are_told_and_no_fault(tmp_path: Path) -> None:
    series = make.ct_series(4)
    series[3].InstanceNumber = 7
    _, result = checked(series, tmp_path)
    count = reports(result)[0]["count"]
    assert count["instance_numbers"] == [1, 7]
    assert count["absent_instance_numbers"] == {"count": 3, "first": [4, 5, 6]}


def test_the_report_does_not_depend_on_the_order_of_the_batch(tmp_path: Path) -> None:
    _, one = checked(make.ct_series(4), tmp_path / "a")
    _, other = checked(make.ct_series(4)[::-1], tmp_path / "b")
    assert reports(one) == reports(other)
    assert report_items(one)[0].path.name == report_items(other)[0].path.name


def test_names_and_reports_have_no_identifiers(tmp_path: Path) -> None:
    series = make.ct_series(3)
    series[0].PixelSpacing = [3, 3]
    _, result = checked(series, tmp_path, Check(on_fail="note"))
    (report,) = report_items(result)
    for secret in ("nvented", "T-0001", "A0001", "19500102", "20200102", "101112", "CHEST", "Nobody"):
        assert secret not in report.path.read_text() + report.path.name


def test_a_name_that_is_no_finding_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    step = Check(allow=("mixed_rescales", "x"))
    first, second = step.problems()
    assert 'Did you mean "mixed_rescale"?' in first
    assert "There are: unreadable" in second
    with pytest.raises(CannotSucceed, match="unknown finding"):
        run_step(step, batch_of([]), tmp_path)


def test_what_was_held_before_stays_held_and_it_can_be_sent_to_a_worker(tmp_path: Path) -> None:
    before = Batch(items=(), held=(Held(sources=(ReceiptId("h"),), reason="why"),), dropped=(ReceiptId("d"),))
    assert run_step(Check(), before, tmp_path) == before
    assert pickle.loads(pickle.dumps(Check(allow=("ragged",)))) == Check(allow=("ragged",))


@pytest.mark.parametrize("folder", several_real_folders())
def test_real_series_are_checked_without_an_error(folder: Path, tmp_path: Path) -> None:
    result = run_step(Check(on_fail="note"), batch_of(sorted(folder.iterdir())), tmp_path)
    assert result.held == ()
    for facts in reports(result):
        assert facts["frames"] == len(facts["order"]["frames"])


def test_a_real_gap_is_held(tmp_path: Path) -> None:
    step = Check(allow=("missing_frame_of_reference",))
    result = run_step(step, batch_of(sorted(real("ct_gap_4").iterdir())), tmp_path)
    assert "missing slices: 1" in result.held[0].reason
