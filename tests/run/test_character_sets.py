"""What a peer is said to write reaches the step that reads text strictly."""

from __future__ import annotations

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from node.index.schema import history
from tests import make
from tests.kit import Kit


@pytest.mark.parametrize(("charset", "held"), [("GB18030", False), ("", True)])
def test_text_whose_character_set_is_not_named_is_read_as_its_peer_is_said_to_write(
    working: Kit, charset: str, held: bool
) -> None:
    """Also behind a step that makes files of its own; and where nothing is said, it is held."""
    peer = f"peers: {{ct: {{ae_title: CT1, host: 10.0.0.5{f', charset: {charset}' if charset else ''}}}}}\n"
    rules = (
        peer
        + """
destinations: {a: {folder: ./a, accepts: deidentified}}
routes: [{name: r, when: always, steps: [{set: {assign: {PatientComments: x}}}, anonymize, {forward: a}]}]
"""
    )
    ds = make.ct_series(1)[0]
    ds.PatientName = ds.SpecificCharacterSet = None
    del ds.SpecificCharacterSet
    ds[0x00100020] = RawDataElement(Tag(0x00100020), "LO", 6, "王一号".encode("gb18030"), 0, False, True)
    working.rules(rules)
    working.index(ds, calling="CT1", sender="10.0.0.5")
    (key,) = working.close()
    working.run(key)
    assert ("held" in working.owed(key).values()) is held, working.rows(history)
