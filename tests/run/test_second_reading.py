"""What leaves after de-identification was read before: a unit that says who its patient is goes nowhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as Items

from node.acts import Acts
from node.certificate.statement import NOT_READ, Reading
from node.errors import CannotSucceed, ConfigurationError
from node.imaging import ocr
from node.imaging.mask import Rectangle
from node.imaging.ocr import Picture
from node.imaging.pixels import read_header
from node.index import jobs
from node.index.schema import certificate, history, job, parcel
from node.leaks import Finding, Output, What, collect
from node.model import Batch, Item, Kind, ReceiptId
from node.pool import Pool
from node.run.parts import run_chain
from node.run.second_reading import SecondReader, kept_by, read_part, readers
from node.run.supply import Supply
from node.steps import STEPS
from node.steps.anonymize import Anonymize
from node.steps.anonymize.pixel_options import PixelOptions
from tests import make
from tests.kit import Kit
from tests.leaks.patients import clean, original
from tests.run.steps_for_tests import Careless, Obey
from tests.steps.anonymize import ultrasound as us

SUPPLY = Supply({"secret": lambda: b"k" * 32, "crosswalk": lambda: None})
TO = "destinations: {a: {folder: ./a, accepts: deidentified}, b: {folder: ./b, accepts: deidentified}}\n"
READ = "second reader: {} files read, nothing of the originals found"


def patients(*comments: str) -> list[FileDataset]:
    """Instances of one study; each comment is what `careless` leaves in an instance."""
    found = []
    for number, comment in enumerate(comments, 1):
        ds = original(ImageComments=comment)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = make.uid("instance", number)
        found.append(ds)
    return found


def batch(folder: Path, instances: Sequence[FileDataset]) -> Batch:
    paths = make.write_all(instances, folder / "in")
    return Batch(
        items=tuple(
            Item(path=path, kind=Kind.DICOM, sources=(ReceiptId(f"{n:032x}"),)) for n, path in enumerate(paths, 1)
        )
    )


def queued(kit: Kit, steps: str, instances: Sequence[FileDataset]) -> str:
    kit.steps = {**STEPS, "careless": Careless, "obey": Obey}
    kit.rules(f"{TO}routes: [{{name: r, when: always, steps: [{steps}]}}]")
    kit.index(*instances)
    (key,) = kit.close()
    kit.run(key)
    return key


def notes(kit: Kit, key: str) -> list[str]:
    rows = kit.rows(history, history.c.subject == key, history.c.what == "note")
    return [row["text"] for row in rows if "second reader" in row["text"]]


def release(kit: Kit, subject: str, because: str = "") -> list[str]:
    acts = Acts(database=kit.database, engine=kit.engine, kinds=kit.config.kinds, concurrent=lambda _: 2)
    return list(acts.release(subject, because, "anna@host").lines)


def statement(kit: Kit) -> Any:
    (row,) = kit.rows(certificate)
    return json.loads(row["document"])["statement"]


# ---- in a job ------------------------------------------------------------------------------------------------


def test_a_route_that_de_identifies_is_read_before_it_forwards(working: Kit) -> None:
    key = queued(working, "anonymize, {forward: a}", patients("", "", ""))
    assert working.jobs() == {key: "done"}
    assert notes(working, key) == [f"forward: {READ.format(3)}"]


def test_one_name_holds_the_whole_unit_before_anything_is_handed_over(working: Kit) -> None:
    key = queued(working, "careless, {forward: a}", patients("", "seen with Kowalczyk", ""))
    assert working.jobs() == {key: "held"}
    assert working.rows(parcel) == []
    (reason,) = working.reasons(key)
    assert reason.startswith("forward: second reader: a name of the patient stands in file 2 of 3 (dicom, made of ")
    assert "(0008,103E) Series Description, byte " in reason
    assert reason.endswith("nothing of the unit goes on")
    assert "kowal" not in reason.lower()
    assert working.balance() == {"held": 3}


def test_what_a_person_lets_pass_goes_on_and_the_certificate_says_why(
    working: Kit, caplog: pytest.LogCaptureFixture
) -> None:
    key = queued(working, "careless, {forward: a}, {forward: b}", patients("", "Kowalczyk"))
    assert release(working, "all", "all of it") == release(working, key) == [
        f"job {key} stays held by the second reader: name it alone, and say why with --reason"
    ]  # fmt: skip
    assert working.jobs() == {key: "held"}
    assert release(working, key, "a street") == [f"job {key} runs again"]
    assert "let pass by anna@host" in caplog.text
    assert "a street" not in caplog.text
    working.run(key)
    assert working.jobs() == {key: "done"}
    assert sorted(working.deliveries()) == [f"{key}>a", f"{key}>b"]
    said = statement(working)["second_reader"]
    assert said == {
        "state": "let pass by a person: a street", "counts": {"files": 2, "originals": 2, "places": 1},
    }  # fmt: skip
    acts = [row["text"] for row in working.rows(history, history.c.subject == key, history.c.what == "act")]
    assert any(one.endswith("let pass by anna@host: a street") for one in acts)
    assert notes(working, key)[-2:] == ["forward: second reader: 1 places were let pass by a person: a street"] * 2


def test_what_a_person_lets_pass_is_what_was_found_and_nothing_more(working: Kit) -> None:
    key = queued(working, "careless, {forward: a}", patients("", "Kowalczyk"))
    with working.database.durable.begin() as connection:
        other = jobs.read(connection, key)
        assert other is not None
        reason = other.reason.replace("file 2 of 2", "file 1 of 2")
        connection.execute(sa.update(job).where(job.c.id == key).values(reason=reason))
    assert release(working, key, "a street") == [f"job {key} runs again"]
    working.run(key)
    assert working.jobs() == {key: "held"}
    assert working.rows(parcel) == []


@pytest.mark.parametrize("because", ["a\nb", "x" * 201, " "])
def test_a_reason_that_cannot_stand_in_a_certificate_is_refused(working: Kit, because: str) -> None:
    with pytest.raises(ConfigurationError, match="printable"):
        release(working, "r", because)


def test_what_was_forwarded_before_de_identification_is_not_read(working: Kit) -> None:
    rules = TO.replace("a: {folder: ./a, accepts: deidentified}", "a: {folder: ./a, accepts: identified}")
    working.steps = {**STEPS, "careless": Careless}
    working.rules(f"{rules}routes: [{{name: r, when: always, steps: [{{forward: a}}, careless, {{forward: b}}]}}]")
    working.index(*patients("Kowalczyk"))
    (key,) = working.close()
    working.run(key)
    assert list(working.deliveries()) == [f"{key}>a"]
    assert working.jobs() == {key: "held"}


@pytest.mark.parametrize(("between", "times"), [("", 1), ("obey, ", 2)], ids=["the same files", "new files"])
def test_files_are_read_once_for_several_destinations(working: Kit, between: str, times: int) -> None:
    key = queued(working, f"anonymize, {{forward: a}}, {between}{{forward: b}}", patients("", ""))
    assert working.jobs() == {key: "done"}
    assert notes(working, key) == [f"forward: {READ.format(2)}"] * times


def test_the_end_of_a_route_is_read_too(working: Kit) -> None:
    key = queued(working, "anonymize", patients("", ""))
    assert notes(working, key) == [f"anonymize: {READ.format(2)}"]


def test_the_end_of_a_route_that_leaks_is_held(working: Kit) -> None:
    key = queued(working, "careless", patients("", "Kowalczyk"))
    assert working.jobs() == {key: "held"}
    (reason,) = working.reasons(key)
    assert reason.startswith("careless: second reader: ")


def test_the_option_turns_it_off(working: Kit) -> None:
    key = queued(working, "{careless: {second_reader: false}}, {forward: a}", patients("Kowalczyk"))
    assert working.jobs() == {key: "done"}
    assert notes(working, key) == []


# ---- in a chain ----------------------------------------------------------------------------------------------


def test_a_chain_without_a_network_is_read_at_its_end(pool: Pool, tmp_path: Path) -> None:
    given = batch(tmp_path, patients("", ""))
    _, said = run_chain(pool, SUPPLY, (STEPS["anonymize"](),), given, tmp_path, partial="hold")
    assert said[-1] == READ.format(2)
    given = batch(tmp_path, patients("", "for Petrosyan"))
    with pytest.raises(CannotSucceed, match=r"^second reader: a name of a person stands in file 2 of 2 "):
        run_chain(pool, SUPPLY, (Careless(),), given, tmp_path, partial="hold")


def test_what_held_members_say_is_looked_for_in_the_others(pool: Pool, tmp_path: Path) -> None:
    first, second = patients("for Adebayo", "hold")
    second.OperatorsName = "Adebayo^Tunde"
    with pytest.raises(CannotSucceed, match="a name of a person stands in file 1 of 1"):
        run_chain(pool, SUPPLY, (Careless(),), batch(tmp_path, [first, second]), tmp_path, partial="proceed")


def test_names_of_files_and_of_folders_below_the_work_folder_are_read(pool: Pool, tmp_path: Path) -> None:
    given = batch(tmp_path, patients(""))
    for name in ("kowalczyk/1.dcm", "mrn47113.dcm"):
        path = make.write(clean(), tmp_path / "work" / name)
        leaving = Batch(items=(Item(path=path, kind=Kind.DICOM, sources=given.items[0].sources),))
        with pytest.raises(CannotSucceed, match="at its name"):
            SecondReader(pool, (Careless(),), lambda: given, below=tmp_path / "work").read(leaving)
        reader = SecondReader(pool, (Careless(),), lambda: given, below=tmp_path / "work")
        assert reader.read(leaving, {path}) == (Reading(state="clean", counts={"files": 1, "originals": 1}), [])
        assert SecondReader(pool, (Obey(),), lambda: given, below=tmp_path / "work").read(leaving) == (NOT_READ, [])


def test_a_certificate_is_read_as_what_it_certifies_is(pool: Pool, tmp_path: Path) -> None:
    given = batch(tmp_path, patients(""))
    reader = SecondReader(pool, (Careless(),), lambda: given, below=tmp_path)
    reader.read_certificate("certificate-1.json", b'{"steps": ["anonymize"]}')
    with pytest.raises(CannotSucceed, match="a name of the patient stands in the certificate at JSON, value 1"):
        reader.read_certificate("certificate-1.json", b'{"versions": "for Kowalczyk"}')
    with pytest.raises(CannotSucceed, match=r"an identifier of .* stands in the certificate at its name"):
        reader.read_certificate("certificate-mrn47113.json", b"{}")
    SecondReader(pool, (Obey(),), lambda: given, below=tmp_path).read_certificate("kowalczyk", b"")


def test_what_a_certificate_says_is_let_pass_as_what_it_certifies_is(pool: Pool, tmp_path: Path) -> None:
    originals = batch(tmp_path, patients(""))
    text = b'{"name": "Kowalczyk"}'
    with pytest.raises(CannotSucceed) as raised:
        SecondReader(pool, [Anonymize()], lambda: originals, below=tmp_path).read_certificate("c.json", text)
    passed = [(str(raised.value), "a street")]
    again = SecondReader(pool, [Anonymize()], lambda: originals, below=tmp_path, passed=passed)
    made, _ = run_chain(pool, SUPPLY, [Anonymize()], originals, tmp_path / "work", partial="hold")
    assert again.read(made)[0].state == "let pass by a person: a street"
    again.read_certificate("c.json", text)
    with pytest.raises(CannotSucceed):
        again.read_certificate("c.json", b'{"other": {"name": "Kowalczyk"}}')


def test_findings_of_many_files_are_counted_and_the_first_is_named(pool: Pool, tmp_path: Path) -> None:
    comments = [""] * 40 + ["Kowalczyk"] * 40
    with pytest.raises(CannotSucceed, match=r"stands in file 41 of 80 .*; 39 more such places; nothing"):
        run_chain(pool, SUPPLY, (Careless(),), batch(tmp_path, patients(*comments)), tmp_path, partial="hold")


def test_pixels_are_read_where_the_step_offers_it(pool: Pool, tmp_path: Path) -> None:
    given = batch(tmp_path, patients(""))
    with pytest.raises(CannotSucceed, match="at pixels of frame 1"):
        run_chain(pool, SUPPLY, (Careless(sees="KOWALCZYK ANNA"),), given, tmp_path, partial="hold")
    run_chain(pool, SUPPLY, (Careless(sees="10 cm"),), given, tmp_path, partial="hold")


def test_what_a_rule_keeps_is_no_leak(pool: Pool, tmp_path: Path) -> None:
    given = batch(tmp_path, patients("ACC 88123457"))
    with pytest.raises(CannotSucceed, match="an identifier"):
        run_chain(pool, SUPPLY, (Careless(),), given, tmp_path, partial="hold")
    run_chain(pool, SUPPLY, (Careless(leaves=(0x00080050,)),), given, tmp_path, partial="hold")


# ---- decisions -----------------------------------------------------------------------------------------------


def test_what_a_rule_keeps_in_one_place_is_no_leak_there_alone(pool: Pool, tmp_path: Path) -> None:
    ds = original()
    ds.RequestAttributesSequence, ds.PerformedProcedureStepID = Items([Dataset()]), "PPS-998877"
    ds.RequestAttributesSequence[0].ScheduledProcedureStepID = "SPS-471182"
    kept = ("RequestAttributesSequence", "RequestAttributesSequence.ScheduledProcedureStepID")
    step = Anonymize(rules=({"keep": kept},))
    made, notes = run_chain(pool, SUPPLY, [step], batch(tmp_path, [ds]), tmp_path / "work", partial="hold")
    assert notes[-1] == READ.format(1)
    after = dcmread(made.items[0].path)
    assert after.RequestAttributesSequence[0].ScheduledProcedureStepID == "SPS-471182"
    collected = collect([tmp_path / "in" / "0001.dcm"], kept_by([step]))
    assert "PPS-998877" in {value for _, value in collected.identifiers}
    assert "SPS-471182" not in {value for _, value in collected.identifiers}


def test_only_steps_that_de_identify_are_read_and_only_where_one_of_them_asks_for_it() -> None:
    anonymize, quiet = STEPS["anonymize"](), Careless(second_reader=False)
    assert readers((Obey(), anonymize)) == (anonymize,)
    assert readers((Obey(),)) == ()
    assert readers((quiet,)) == ()
    assert readers((quiet, anonymize)) == (quiet, anonymize)


def test_what_stays_after_two_steps_is_what_both_leave() -> None:
    both = kept_by((Careless(options=("retain_uids", "retain_device_identity")), Careless(options=("retain_uids",))))
    assert both.whats == {What.UID}


def test_attributes_that_a_recipe_keeps_are_what_the_step_says(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe"
    recipe.write_text("FORMAT dicom\n%header\nKEEP StudyDate\nREMOVE StudyID\n")
    step = STEPS["anonymize"](recipe=recipe)  # type: ignore[call-arg]  # its own field
    assert kept_by((step,)).tags == {0x00080020}


def test_a_finding_says_what_and_where() -> None:
    assert str(Finding(What.UID, 3, "preamble")) == "a UID in file 3 (preamble)"


# ---- characters in pixels ------------------------------------------------------------------------------------


LOOKS = {"options": ("clean_pixel_data",), "pixels": PixelOptions(ocr="suspected", text_found="mask")}


def test_the_step_offers_eyes_where_its_option_is_chosen_and_for_the_images_that_it_means(tmp_path: Path) -> None:
    ct, _ = read_header(make.write(make.ct_series(1)[0], tmp_path / "ct.dcm"))
    clip, _ = read_header(make.write(us.image(BurnedInAnnotation="NO"), tmp_path / "us.dcm"))
    screen, _ = read_header(make.write(screen_save(), tmp_path / "screen.dcm"))
    for chosen, seen in (
        ("suspected", [False, True, True]), ("all", [True, True, True]), (("CT",), [True, False, True]),
    ):  # fmt: skip
        step = Anonymize(options=("clean_pixel_data",), pixels=PixelOptions(ocr=chosen))  # type: ignore[arg-type]
        assert step.texts_of() is ocr.texts_of
        assert [step.looks_at(header) for header in (ct, clip, screen)] == seen
    assert Anonymize(options=("clean_pixel_data",)).texts_of() is None
    assert Anonymize(pixels=PixelOptions(ocr="all")).texts_of() is None


def screen_save() -> FileDataset:
    ds = make.ct_series(1)[0]
    ds.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    return ds


class Eyes:
    """Reads the same of every picture, and sees no box."""

    def __init__(self, *texts: str) -> None:
        self._texts = texts
        self.seen = 0

    def boxes(self, picture: Picture) -> list[Rectangle]:
        return []

    def texts(self, picture: Picture) -> list[str]:
        self.seen += 1
        assert picture.ndim == 3
        return list(self._texts)


def test_what_the_eyes_of_the_step_read_is_looked_for_as_any_text_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process, as a worker does it: what was put in the place of the detector is not in the workers."""
    path = make.write(original(Modality="US"), tmp_path / "original.dcm")
    ds = clean()
    ds.Modality = "US"
    make.set_pixels(ds, np.ones((3, 8, 8), np.uint8))
    output = Output(path=make.write(ds, tmp_path / "output.dcm"), number=1)
    step = Anonymize(**LOOKS)  # type: ignore[arg-type]
    kept = kept_by((step,))
    for text, found in (("KOWALCZYK ANNA", True), ("10 cm", False)):
        monkeypatch.setattr(ocr, "rapid_ocr", lambda text=text: Eyes(text))
        findings, count = read_part((step,), collect([path], kept), kept, [output])
        assert [f.where for f in findings if f.where.startswith("pixels")] == (
            [f"pixels of frame {n}" for n in (1, 2, 3)] if found else []
        )
        assert count == len(findings)


def test_the_real_eyes_read_a_name_that_nothing_covered(pool: Pool, tmp_path: Path) -> None:
    pytest.importorskip("rapidocr_onnxruntime", reason="pip install dicom-node[ocr]")
    drawing = pytest.importorskip("PIL.ImageDraw", reason="something to draw letters with")
    from PIL import Image, ImageFont

    picture = Image.new("L", (640, 480), 20)
    drawing.Draw(picture).text((60, 200), "KOWALCZYK ANNA", fill=255, font=ImageFont.load_default(size=28))
    for text, outcome in ((True, "a name of the patient stands in file 1 of 1"), (False, "")):
        ds = original()
        make.set_pixels(ds, np.asarray(picture if text else Image.new("L", (640, 480), 20)))
        given = batch(tmp_path / str(text), [ds])
        # Whatever the step did about it: what leaves is read again.
        step = Careless(sees="", reads=True)
        if outcome:
            with pytest.raises(CannotSucceed, match=outcome):
                run_chain(pool, SUPPLY, (step,), given, tmp_path / str(text), partial="hold")
        else:
            run_chain(pool, SUPPLY, (step,), given, tmp_path / str(text), partial="hold")
