"""The key is what PS3.15 says: by examples written down by hand, and every planted identifier is where it says."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.corpus import places
from benchmarks.corpus.font import legible, letters
from benchmarks.corpus.key import OPTIONS, Action, Answer, Instance, load, save
from benchmarks.corpus.outputs import Output, read
from node.dicom import deid_table
from tests.benchmarks.corpus.conftest import Made

A = Action

# Read by hand from PS3.15 Table E.1-1 (Basic Profile and the options of the key) and PS3.3.
EXPECTED = [
    ("CT", "(0010,0010)", {A.TEXT_REMOVED, A.TAG_RETAINED}),  # Patient's Name: Z, Type 2
    ("CT", "(0010,0020)", {A.TEXT_REMOVED, A.TAG_RETAINED, A.PATIENT_ID_CONSISTENT}),  # Patient ID: Z/D, Type 2
    ("CT", "(0010,0030)", {A.TEXT_REMOVED, A.TAG_RETAINED}),  # Birth Date: Z; no option keeps or shifts it
    ("CT", "(0010,0040)", {A.TEXT_RETAINED}),  # Sex: K of Patient Characteristics
    ("CT", "(0008,0020)", {A.DATE_SHIFTED}),  # Study Date: C of Modified Dates
    ("CT", "(0008,0030)", {A.TAG_RETAINED}),  # Study Time: the same, of no certain value
    ("CT", "(0008,0018)", {A.UID_CHANGED, A.UID_CONSISTENT}),  # SOP Instance UID: U
    ("CT", "(0020,0052)", {A.UID_CHANGED, A.UID_CONSISTENT}),  # Frame of Reference UID: U
    ("CT", "(0008,0016)", {A.TEXT_RETAINED}),  # SOP Class UID: not in the table
    ("CT", "(0008,0060)", {A.TEXT_RETAINED}),  # Modality: not in the table
    ("CT", "(0018,0060)", {A.TEXT_RETAINED}),  # KVP: not in the table
    ("CT", "(0008,0080)", {A.TEXT_REMOVED}),  # Institution Name: X/Z/D, without its option
    ("CT", "(0018,1000)", {A.TEXT_REMOVED}),  # Device Serial Number: X/Z/D, without its option
    ("CT", "(0008,1070)", {A.TEXT_REMOVED}),  # Operators' Name: X/Z/D
    ("CT", "(0008,103E)", {A.TEXT_REMOVED, A.TEXT_RETAINED}),  # Series Description: C of Clean Descriptors
    ("CT", "(0018,1030)", {A.TEXT_RETAINED}),  # Protocol Name that names nobody
    ("CT", '(0019,"SIEMENS MR HEADER",0C)', {A.TEXT_RETAINED}),  # Table E.3.10-1
    ("CT", '(0019,"SIEMENS MR HEADER",60)', {A.TEXT_REMOVED}),  # the same creator, not in Table E.3.10-1
    ("CT", '(0009,"INVENTED SCANNER 01",02)', {A.TEXT_REMOVED}),
    ("CT", '(0009,"INVENTED SCANNER 01",08)[0](0010,0010)', {A.TEXT_REMOVED}),
    ("CT", "(0066,0035)[0](0066,002F)[0](0008,0023)", {A.DATE_SHIFTED}),
    ("CT", "(0066,0035)[0](0066,002F)[0](0010,0010)", {A.TEXT_REMOVED}),
    ("CT", "(0066,0035)[0](0066,002F)[0](0008,0104)", {A.TEXT_REMOVED, A.TAG_RETAINED}),  # Code Meaning: Type 1
    ("CT", "(0040,0275)[0](0032,1060)", {A.TEXT_REMOVED}),  # within Request Attributes: X
    ("CT", "(5000,2500)", {A.TEXT_REMOVED}),  # Curve Label: 50xx, X
    ("CT", "(6000,0022)", {A.TEXT_REMOVED}),  # Overlay Description: in no table
    ("CT", "meta (0002,0016)", {A.TEXT_REMOVED}),
    ("CT", "preamble", {A.TEXT_REMOVED}),
    ("CT", "file name", {A.TEXT_REMOVED}),
    ("PT", "(0008,0031)", {A.TAG_RETAINED}),  # Series Time of a PET series
    ("SR", "(0040,A730)[=121071](0040,A160)", {A.TEXT_REMOVED, A.TEXT_RETAINED}),  # Finding: C
    ("SR", "(0040,A730)[=111060](0040,A121)", {A.DATE_SHIFTED}),  # Study Date: C
    ("SR", "(0040,A730)[=121030](0040,A160)", {A.TEXT_REMOVED}),  # Subject ID: X/D
    ("SR", "(0040,A730)[=121206](0040,A300)[0](0040,A30A)", {A.TEXT_RETAINED}),  # a distance
    ("SR", "(0040,A073)", {A.TAG_RETAINED}),  # Verifying Observer Sequence: Type 1C, met
    ("SEG", "(0018,1000)", {A.TEXT_REMOVED, A.TAG_RETAINED}),  # Device Serial Number: Type 1 there
    ("SEG", "(0062,0002)[0](0062,0021)", {A.UID_CHANGED, A.UID_CONSISTENT}),  # Tracking UID: U
    ("RTSTRUCT", "(3006,0010)[0](0020,0052)", {A.UID_CHANGED, A.UID_CONSISTENT}),
    ("RTSTRUCT", "(3006,0002)", {A.TEXT_REMOVED, A.TAG_RETAINED}),  # Structure Set Label: D, Type 1
    ("PR", "(0070,0001)[0](0070,0008)[0](0070,0006)", {A.TEXT_REMOVED}),  # within Graphic Annotation: D, C
    ("PR", "(0070,0084)", {A.TEXT_REMOVED, A.TAG_RETAINED}),  # Content Creator's Name: Z/D, Type 2
    ("DOC", "(0042,0011)", {A.TEXT_REMOVED, A.TAG_RETAINED}),  # Encapsulated Document: D, Type 1
]


def before(corpus: Made, instance: Instance) -> Output:
    found = read(corpus.path(instance), instance.file)
    assert found is not None
    return found


def at(instance: Instance, place: str) -> list[Answer]:
    return [answer for answer in instance.answers if answer.place == place]


@pytest.mark.parametrize(("kind", "place", "actions"), EXPECTED, ids=[f"{kind} {place}" for kind, place, _ in EXPECTED])
def test_the_key_asks_what_the_standard_says(corpus: Made, kind: str, place: str, actions: set[Action]) -> None:
    assert {answer.action for answer in at(corpus.of(kind), place)} == actions


def test_an_age_over_89_has_to_go_and_another_has_to_stay(corpus: Made) -> None:
    asked: dict[bool, set[Action]] = {}
    for one in corpus.instances:
        (answer,) = at(one, "(0010,1010)")
        asked.setdefault(answer.values[0] > "089Y", set()).add(answer.action)
    assert asked == {True: {A.TEXT_REMOVED}, False: {A.TEXT_RETAINED}}


def test_only_a_document_may_be_withheld(corpus: Made) -> None:
    assert {one.kind for one in corpus.instances if one.withheld} == {"DOC"}


def test_every_kind_of_action_is_required_of_many_objects(corpus: Made) -> None:
    counted = Counter(answer.action for one in corpus.instances for answer in one.answers)
    assert set(counted) == set(Action)
    assert min(counted.values()) > 50


def test_what_has_to_go_is_where_the_key_says_it_is(corpus: Made) -> None:
    for one in corpus.instances:
        original = before(corpus, one)
        preamble = (original.ds.preamble or b"").decode("latin_1")
        texts = {"preamble": preamble, "file name": one.file, "anywhere": original.all_text}
        for answer in (answer for answer in one.answers if answer.action is A.TEXT_REMOVED):
            text = texts[answer.place] if answer.place in texts else original.text(answer.place)
            assert text is not None, answer
            found = [value for value in answer.values if value.casefold() in text.casefold()]
            assert found == list(answer.values) or answer.place == "anywhere", answer
            assert found, answer


def test_dates_and_uids_are_where_the_key_says_they_are(corpus: Made) -> None:
    for one in corpus.instances:
        original = before(corpus, one)
        for answer in one.answers:
            if answer.action in (A.DATE_SHIFTED, A.UID_CHANGED, A.UID_CONSISTENT, A.PATIENT_ID_CONSISTENT):
                assert original.text(answer.place) == "\\".join(answer.values), answer


def test_what_is_drawn_can_be_read_before(corpus: Made) -> None:
    drawn = 0
    for one in corpus.instances:
        original = before(corpus, one)
        for answer in one.answers:
            if answer.drawn is not None:
                planes = original.planes(answer.place)
                assert planes
                assert {legible(plane, answer.drawn) for plane in planes} == {letters(answer.drawn)}
                drawn += 1
    assert drawn > 30


def test_no_answer_is_given_twice(corpus: Made) -> None:
    for one in corpus.instances:
        counted = Counter((answer.action, answer.place, answer.drawn) for answer in one.answers)
        assert [key for key, times in counted.items() if times > 1] == []


def test_every_place_of_an_attribute_can_be_found(corpus: Made) -> None:
    for one in corpus.instances:
        ds = before(corpus, one).ds
        for answer in one.answers:
            assert not places.is_attribute(answer.place) or places.find(ds, answer.place) is not None, answer.place


def test_the_options_are_ones_of_the_standard_that_go_together() -> None:
    assert set(OPTIONS) < set(deid_table.METHOD_CODES)
    assert not {"retain_long_full_dates", "retain_uids"} & set(OPTIONS)


def test_a_key_is_the_same_after_it_was_written_and_read(small: Made, tmp_path: Path) -> None:
    assert load(small.folder / "key.json") == small.instances
    save(small.instances, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (small.folder / "key.json").read_bytes()


@pytest.mark.parametrize("damage", [{"action": "text burned"}, {"place": None, "surplus": 1}])
def test_a_file_that_is_no_key_is_refused(small: Made, tmp_path: Path, damage: dict[str, object]) -> None:
    rows = json.loads((small.folder / "key.json").read_text())
    rows[0]["answers"][0].update(damage)
    (tmp_path / "key.json").write_text(json.dumps(rows))
    with pytest.raises((KeyError, TypeError, ValueError)):
        load(tmp_path / "key.json")
