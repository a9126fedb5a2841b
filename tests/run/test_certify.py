"""A job's certificate: of what its steps did and what came out, issued before any of it leaves."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from node.certificate.document import check
from node.certificate.keys import Keys
from node.index.schema import certificate, history, job, parcel
from node.model import Item, Kind, ReceiptId
from node.run.certify import Certifier
from node.run.contents import of_instances
from node.run.known import Known
from node.steps import STEPS
from tests import make
from tests.kit import SECRET, Kit
from tests.run.steps_for_tests import Silent
from tests.run.test_runner import notes, queued

KEYS = Keys(SECRET)
SHARE = "destinations: {a: {folder: ./a, accepts: deidentified}}\n"


def rules(*steps: str, more: str = "") -> str:
    return f"{SHARE}routes: [{{name: r, when: always, steps: [{', '.join(steps)}]{more}}}]"


def documents(kit: Kit) -> list[dict[str, Any]]:
    return [check(KEYS, row["document"].encode()) for row in kit.rows(certificate)]


def brought(kit: Kit, key: str) -> list[Path]:
    """Files of the folder destination."""
    (kit.data / "a").mkdir(exist_ok=True)
    kit.courier().deliver(f"{key}>a", 1)
    return sorted(path for path in (kit.data / "a").rglob("*") if path.is_file())


def test_a_folder_gets_the_certificate_beside_the_series_and_it_says_what_the_files_are(working: Kit) -> None:
    sent = make.ct_series(3)
    key, receipts = queued(working, rules("anonymize", "{forward: a}"), sent)
    working.run(key)
    *images, paper = sorted(brought(working, key), key=lambda path: path.suffix == ".json")
    assert (len(images), paper.parent) == (3, images[0].parent)
    (content,) = documents(working)
    assert check(KEYS, paper.read_bytes()) == content
    said = content["statement"]
    assert {one["sha256"] for one in said["outputs"]} == {hashlib.sha256(p.read_bytes()).hexdigest() for p in images}
    assert {one["instance"] for one in said["outputs"]} == {KEYS.uid(str(dcmread(p).SOPInstanceUID)) for p in images}
    assert {uid for one in said["outputs"] for uid in one["received"]} == {KEYS.uid(ds.SOPInstanceUID) for ds in sent}
    attributes = said["steps"][0]["methods"][0]["attributes"]
    assert attributes["(0010,0010)"] == {"replaced": 3}
    assert attributes["(0008,0018)"] == {"uid": 3}
    assert working.owed(key) == dict.fromkeys(receipts, "delivered")
    assert working.balance() == {"delivered": 3}


def test_the_certificate_and_its_name_say_nothing_of_the_patient(working: Kit) -> None:
    sent = make.ct_series(2)
    key, _ = queued(working, rules("anonymize", "{forward: a}"), sent)
    working.run(key)
    (paper,) = (path for path in brought(working, key) if path.suffix == ".json")
    text = paper.name + paper.read_text()
    (row,) = working.rows(certificate)
    for ds in sent:
        for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            value = str(ds[keyword].value)
            assert value not in text
            assert value.encode() not in row["inner"]


def test_what_is_made_again_after_a_crash_has_the_same_certificate(working: Kit) -> None:
    key, _ = queued(working, rules("anonymize", "{forward: a}"), make.ct_series(2))
    working.run(key)
    before = [row["content"] for row in working.rows(parcel)]
    shutil.rmtree(working.data / "work")
    working.runner().step(key, 1)
    assert [row["content"] for row in working.rows(parcel)] == before
    assert len(documents(working)) == 1


def test_a_certificate_is_of_the_files_that_leave_and_not_of_those_that_were_lost(working: Kit) -> None:
    recipe = working.data / "recipe"
    recipe.write_text("FORMAT dicom\n%header\nREMOVE KVP\n")
    key, _ = queued(working, rules(f"{{anonymize: {{recipe: {recipe}}}}}", "{forward: a}"), make.ct_series(1))
    working.runner().step(key, 0)

    def killed(point: str) -> None:
        if point == "step 1 made its files":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace(working.runner(), reach=killed).step(key, 1)
    (output,) = (working.data / "work").rglob("*.dcm")
    output.unlink()
    recipe.write_text("FORMAT dicom\n%header\nKEEP KVP\nREMOVE StudyID\n")
    working.runner().step(key, 1)
    sha256 = {row["content"] for row in working.rows(parcel) if row["kind"] == "report"}
    last = documents(working)[-1]
    assert last["statement"]["steps"][0]["methods"][0]["recipe"] == hashlib.sha256(recipe.read_bytes()).hexdigest()
    assert sha256 == {hashlib.sha256(working.rows(certificate)[-1]["document"].encode()).hexdigest()}


def test_each_forward_is_of_what_was_certified_and_two_of_the_same_share_it(working: Kit) -> None:
    key, _ = queued(
        working, rules("anonymize", "{forward: a}", "{forward: a}", "nifti", "{forward: a}"), make.ct_series(3)
    )
    working.run(key)
    first, second = documents(working)
    assert [step["step"] for step in first["statement"]["steps"]] == ["anonymize"]
    assert [step["step"] for step in second["statement"]["steps"]] == ["anonymize", "nifti"]
    assert second["issue"]["previous"] == hashlib.sha256(working.rows(certificate)[0]["document"].encode()).hexdigest()
    kinds = [one["kind"] for one in second["statement"]["outputs"]]
    assert sorted(kinds) == ["dicom"] * 3 + ["nifti", "nifti", "report"]  # the volume and its sidecar
    papers = {row["name"] for row in working.rows(parcel) if row["name"].startswith("certificate-")}
    assert len(papers) == 2
    numbers = [text.split(" of ")[0] for text in notes(working, key, "note") if text.startswith("certificate ")]
    assert numbers == ["certificate 1", "certificate 2"]


def test_a_route_that_sends_nothing_is_certified_when_it_ends(working: Kit) -> None:
    key, _ = queued(working, rules("anonymize", "decompress"), make.ct_series(2))
    working.run(key)
    (content,) = documents(working)
    assert [step["step"] for step in content["statement"]["steps"]] == ["anonymize", "decompress"]
    assert content["statement"]["instances"]["certified"] == 2
    assert working.jobs() == {key: "done"}


def test_what_a_step_behind_it_gives_again_is_said_to_be_given(working: Kit) -> None:
    series = make.ct_series(1)
    series[0].PatientComments = "old"
    behind = '{set: {assign: {PatientComments: "TRIAL 7"}, copy: {StudyDescription: Modality}, remove: [KVP]}}'
    key, _ = queued(working, rules("anonymize", behind), series)
    working.run(key)
    (content,) = documents(working)
    first, second = content["statement"]["steps"]
    assert first["methods"][0]["attributes"]["(0010,4000)"] == {"removed": 1}
    assert second["changes"] == {"(0010,4000)": "assigned", "(0008,1030)": "copied", "(0018,0060)": "removed"}
    assert "TRIAL 7" not in json.dumps(content)


def test_what_is_held_on_the_way_is_counted_and_not_certified(working: Kit) -> None:
    good, bad = make.ct_series(2)
    bad.BurnedInAnnotation = "YES"
    key, _ = queued(working, rules("anonymize", "{forward: a}"), [good, bad])
    working.run(key)
    (content,) = documents(working)
    said = content["statement"]
    assert said["instances"] == {"certified": 1, "dropped": 0, "held": 1, "received": 2}
    assert said["steps"][0]["methods"][0]["instances"] == 1


def test_what_a_later_step_holds_is_left_out_of_what_was_done(working: Kit) -> None:
    series = make.ct_series(4)
    for ds, comment in zip(series, ("good", "hold", "good", "good"), strict=True):
        ds.ImageComments = comment
    recipe = working.data / "keep.dicom"
    recipe.write_text("FORMAT dicom\n%header\nKEEP ImageComments\n")
    key, _ = queued(working, rules("{anonymize: {recipe: keep.dicom}}", "obey", "{forward: a}"), series)
    working.run(key)
    (content,) = documents(working)
    (method,) = content["statement"]["steps"][0]["methods"]
    assert method["instances"] == 3
    assert method["attributes"]["(0020,4000)"] == {"kept": 3}
    assert method["recipe"] == hashlib.sha256(recipe.read_bytes()).hexdigest()


def test_nothing_is_certified_where_nothing_was_deidentified_or_nothing_came_out(working: Kit) -> None:
    open_share = "destinations: {a: {folder: ./a}}\nroutes: [{name: r, when: always, steps: [{forward: a}]}]"
    key, _ = queued(working, open_share, make.ct_series(2))
    working.run(key)
    (burned,) = make.ct_series(1, series="burned")
    burned.BurnedInAnnotation = "YES"
    other, _ = queued(working, rules("anonymize", "{forward: a}"), [burned])
    working.run(other)
    assert documents(working) == []
    assert not [row for row in working.rows(parcel) if row["kind"] == "report"]


def test_a_destination_that_takes_no_reports_gets_none_and_the_ledger_has_it(working: Kit) -> None:
    text = """
destinations: {a: {dicom: "A@127.0.0.1:9", accepts: deidentified}, b: {folder: ./b, accepts: deidentified}}
routes: [{name: r, when: always, steps: [anonymize, {forward: a}, {forward: {to: b, what: [report]}}]}]
"""
    key, receipts = queued(working, text, make.ct_series(2))
    working.run(key)
    assert len(documents(working)) == 1
    sent = {(row["delivery"], row["kind"]): json.loads(row["sources"]) for row in working.rows(parcel)}
    assert sorted({(delivery.rpartition(">")[2], kind) for delivery, kind in sent}) == [("a", "dicom"), ("b", "report")]
    assert sorted(sent[f"{key}>b", "report"]) == sorted(receipts), "where reports are all that is wanted, it is for all"


def test_no_instance_counts_as_delivered_because_of_the_certificate_alone(working: Kit) -> None:
    """The one that nifti holds is in no file that goes there."""
    series = make.ct_series(4)
    del series[3].ImagePositionPatient
    steps = ("anonymize", "nifti", "{forward: {to: a, what: [nifti, report]}}")
    key, receipts = queued(working, rules(*steps, more=", partial: proceed"), series)
    working.run(key)
    brought(working, key)
    states = working.owed(key)
    assert sorted(states.values()) == ["delivered"] * 3 + ["held"]
    assert states[receipts[3]] == "held"


def test_the_next_generation_is_certified_anew_and_its_certificate_takes_the_place_of_the_first(working: Kit) -> None:
    *early, late = make.ct_series(3)
    first, _ = queued(working, rules("anonymize", "{forward: a}"), early)
    working.run(first)
    (before,) = (path for path in brought(working, first) if path.suffix == ".json")
    working.index(late)
    (second,) = working.close()
    working.run(second)
    (after,) = (path for path in brought(working, second) if path.suffix == ".json")
    assert after == before
    content = check(KEYS, after.read_bytes())
    assert (content["issue"]["number"], content["statement"]["unit"]["generation"]) == (2, 2)
    assert content["statement"]["instances"]["certified"] == 3


def test_two_nodes_with_one_secret_say_the_same_of_the_same_study(working: Kit, tmp_path: Path) -> None:
    from tests import kit as kits

    said = []
    key, _ = queued(working, rules("anonymize", "{forward: a}"), make.ct_series(2))
    working.run(key)
    said.append(documents(working)[0])
    store = kits.Store("sqlite", tmp_path / "other-db")
    with kits.opened(store, tmp_path / "other", working.pool) as other:
        again, _ = queued(other, rules("anonymize", "{forward: a}"), make.ct_series(2)[::-1])
        other.run(again)
        said.append(documents(other)[0])
    store.close()
    assert said[0]["statement"] == said[1]["statement"]
    assert said[0]["issue"]["chain"] == said[1]["issue"]["chain"], "both are called kit here"


def test_what_nobody_accounts_for_does_not_go_out(working: Kit) -> None:
    working.steps = {**STEPS, "silent": Silent}
    working.rules(rules("silent", "{forward: a}"))
    working.index(*make.ct_series(2))
    (key,) = working.close()
    working.run(key)
    (row,) = working.rows(job)
    assert row["state"] == "held"
    assert row["reason"] == "forward: silent gave no account of what it did, so that there can be no certificate of it"
    assert working.rows(parcel) == []
    assert [h for h in working.rows(history) if h["text"].startswith("certificate ")] == []


@pytest.mark.parametrize("options", ["", ": {options: [retain_patient_characteristics]}"])
def test_the_certificate_says_by_which_options(working: Kit, options: str) -> None:
    step = f"{{anonymize{options}}}" if options else "anonymize"
    key, _ = queued(working, rules(step, "{forward: a}"), make.ct_series(1))
    working.run(key)
    (method,) = documents(working)[0]["statement"]["steps"][0]["methods"]
    assert method["options"] == (["retain_patient_characteristics"] if options else [])
    assert (method["profile"], method["table"]) == ("basic", "PS3.15 2026d Table E.1-1")
    assert method["attributes"]["(0010,0040)"] == ({"kept": 1} if options else {"emptied": 1})


def test_files_whose_hashes_are_known_are_not_read_again(working: Kit, tmp_path: Path) -> None:
    paths = make.write_all(make.ct_series(3), tmp_path)
    items = [Item(path=path, kind=Kind.DICOM, sources=(ReceiptId(f"{n:032x}"),)) for n, path in enumerate(paths)]
    known = Known()
    certifier = Certifier(database=working.database, pool=working.pool, secret=lambda: SECRET, process="k", known=known)
    read = certifier._files(items)
    for whole in (False, True):  # the hash of the data set alone is not enough
        for path, content in zip(paths, of_instances(paths, whole=whole), strict=True):
            known.learn(path, path.stat(), content)
        assert certifier._files(items) == read
    assert [one.sha256 for one in read] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    learned = of_instances(paths[:1], whole=True)[0]
    known.learn(paths[0], paths[0].stat(), replace(learned, whole="0" * 64))
    assert certifier._files(items)[0].sha256 == "0" * 64, "it is taken as known"
