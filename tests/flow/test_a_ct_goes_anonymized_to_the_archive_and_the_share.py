"""The promise in one story: a CT comes in, and what leaves the node no longer says whose it was."""

from __future__ import annotations

from tests import make
from tests.flow.nodes import Site
from tests.peers import Instance, Recorder, send

RULES = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: deidentified}
  share: {folder: ./out, accepts: deidentified, layout: "{PatientID}/{SeriesNumber}_{Modality}"}
routes:
  - name: research-ct
    when: {Modality: CT, called_ae: RESEARCH}
    steps: [anonymize, {forward: archive}, decompress, nifti, {forward: {to: share, what: [nifti, report]}}]
  - name: not-this-one
    when: {Modality: MR}
    steps: [anonymize, {forward: archive}]
"""


def test_a_ct_goes_anonymized_to_the_archive_and_the_share(site: Site) -> None:
    site, series = site, make.ct_series(4, rows=64, columns=64)
    with Recorder() as archive:
        site.rules(RULES, port=archive.port)
        with site.running() as node:
            assert send(node.port, series, calling_ae="CT1", called_ae="RESEARCH") == [0x0000] * 4
            assert site.settled(4) == {"delivered": 4}
        received = archive.wait_for(4)

    # what was received is in the spool, byte for byte
    assert sorted(site.spooled().values()) == sorted(Instance.of(one).data for one in series)

    # nothing that names the patient, nor any UID of the original, is in what left
    volumes = sorted((site.folder / "out").rglob("*.nii.gz"))
    left = b"".join(one.data for one in received) + b"".join(
        path.read_bytes() + str(path).encode() for path in (site.folder / "out").rglob("*") if path.is_file()
    )
    first = series[0]
    identifying = [
        "Müster", "Invented", first.PatientID, first.PatientBirthDate, first.AccessionNumber, "Nobody^Real",
        first.StudyInstanceUID, first.SeriesInstanceUID, first.FrameOfReferenceUID,
        *(one.SOPInstanceUID for one in series),
    ]  # fmt: skip
    assert [text for text in identifying if str(text).encode() in left] == []
    assert len({one.sop_instance for one in received}) == 4
    assert {one.calling_ae for one in received} == {"NODE"}
    assert {one.dataset().PatientIdentityRemoved for one in received} == {"YES"}
    assert len(volumes) == 1

    # explain tells it, from the original's UID and from the one that was given instead
    told = site.story(first.SeriesInstanceUID)
    assert {(i["calling_ae"], i["called_ae"], i["state"]) for i in told["instances"]} == {
        ("CT1", "RESEARCH", "delivered")
    }
    unit = next(u for u in told["units"] if u["kind"] == "series")
    assert unit["completions"][0]["evidence"].startswith("quiet: 4 instances")
    assert {r["route"]: r["matched"] for r in unit["completions"][0]["routes"]} == {
        "research-ct": True, "not-this-one": False,
    }  # fmt: skip
    steps = [line["text"].split(":")[0] for line in unit["jobs"][0]["history"] if line["what"] == "step"]
    assert steps == ["1. anonymize", "2. forward", "3. decompress", "4. nifti", "5. forward"]
    assert {d["destination"]: d["state"] for d in unit["jobs"][0]["deliveries"]} == {
        "archive": "delivered", "share": "delivered",
    }  # fmt: skip
    assert site.story(received[0].sop_instance)["instances"][0]["series"] == first.SeriesInstanceUID
