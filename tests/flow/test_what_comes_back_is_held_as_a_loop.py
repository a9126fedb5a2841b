"""What this node made and sent comes back: it is held, and does not go round once more."""

from __future__ import annotations

from tests import make
from tests.flow.nodes import Site
from tests.peers import Instance, Recorder, send

RULES = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: deidentified}
routes:
  - {name: all, when: always, steps: [anonymize, {forward: archive}]}
"""


def test_what_comes_back_is_held_as_a_loop(site: Site) -> None:
    with Recorder() as archive:
        site.rules(RULES, port=archive.port)
        with site.running() as node:
            send(node.port, make.ct_series(2, rows=64, columns=64))
            returned = [
                Instance(
                    sop_class=one.sop_class, sop_instance=one.sop_instance,
                    transfer_syntax=one.transfer_syntax, data=one.data,
                )
                for one in archive.wait_for(2)
            ]  # fmt: skip
            assert site.settled(2) == {"delivered": 2}
            # In company of something new, which is not held up by it.
            new = make.ct_series(1, rows=64, columns=64, study="another")
            assert send(node.port, [*returned, *new], calling_ae="ARCHIVE") == [0x0000] * 3
            assert site.settled(5) == {"delivered": 3, "held": 2}
    assert len(archive.uids) == 3
    assert "came back from ARCHIVE" in site.held()[0]["reason"]
