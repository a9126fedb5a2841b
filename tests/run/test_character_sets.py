"""The character set of a peer whose data sets name none reaches what reads text: the step, and the second reader."""

from __future__ import annotations

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from node.index.schema import history
from node.steps import STEPS
from tests import make
from tests.kit import Kit
from tests.run.steps_for_tests import Careless

RULES = """
destinations: {a: {folder: ./a, accepts: deidentified}}
routes: [{name: r, when: always, steps: [{set: {assign: {PatientComments: x}}}, anonymize, {forward: a}]}]
"""


@pytest.mark.parametrize(("charset", "held"), [("GB18030", False), ("", True)])
def test_text_whose_character_set_is_not_named_is_read_as_its_peer_is_said_to_write(
    working: Kit, charset: str, held: bool
) -> None:
    """Also behind a step that makes files of its own; and where nothing is said, it is held."""
    peer = f"peers: {{ct: {{ae_title: CT1, host: 10.0.0.5{f', charset: {charset}' if charset else ''}}}}}\n"
    rules = peer + RULES
    ds = make.ct_series(1)[0]
    ds.PatientName = ds.SpecificCharacterSet = None
    del ds.SpecificCharacterSet
    ds[0x00100020] = RawDataElement(Tag(0x00100020), "LO", 6, "王一号".encode("gb18030"), 0, False, True)
    working.steps = dict(STEPS)
    working.rules(rules)
    working.index(ds, calling="CT1", sender="10.0.0.5")
    (key,) = working.close()
    working.run(key)
    assert ("held" in working.owed(key).values()) is held, working.rows(history)


def test_a_name_whose_character_set_is_not_named_is_found_by_the_second_reader(working: Kit) -> None:
    """In other letters, so that only who has read the name right knows it again."""
    ds = make.ct_series(1)[0]
    del ds.SpecificCharacterSet
    raw = "Жуковский^Пётр".encode("iso8859-5")
    ds[0x00100010] = RawDataElement(Tag(0x00100010), "PN", len(raw), raw, 0, False, True)
    ds.ImageComments = "seen with Zhukovskij"
    working.steps = {**STEPS, "careless": Careless}
    working.rules(
        "peers: {ct: {ae_title: CT1, host: 10.0.0.5, charset: ISO_IR 144}}\n"
        "destinations: {a: {folder: ./a, accepts: deidentified}}\n"
        "routes: [{name: r, when: always, steps: [careless, {forward: a}]}]"
    )
    working.index(ds, calling="CT1", sender="10.0.0.5")
    (key,) = working.close()
    working.run(key)
    assert working.jobs() == {key: "held"}
    (reason,) = working.reasons(key)
    assert "a name of the patient stands in file 1 of 1" in reason
