"""Negotiation over real sockets: every presentation context gets its own choice (PS3.8 9.3.3.2)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.dicom.negotiation import choose
from node.errors import ConfigurationError
from node.model import UID
from tests import make
from tests.dicom.datasets import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT
from tests.peers import VERIFICATION, Instance, Sender
from tests.receive.station import config_of, content_of, station, until

CT, MR = make.CT_IMAGE, make.MR_IMAGE
JPEG, JPEG_LOSSLESS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"
JPEG2000_LOSSLESS, JPEG2000 = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"
RLE, MPEG4, HTJ2K_LOSSLESS, HTJ2K = (
    "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.102", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.203",
)  # fmt: skip
MIME = "1.2.840.10008.1.2.6.1"

Proposal = tuple[str, list[str]]


def negotiated(port: int, proposals: list[Proposal]) -> list[str | None]:
    """The transfer syntax of each context in order; None where it was rejected."""
    with Sender(port, proposals) as sender:
        accepted = [sender.accepted.get(2 * n + 1) for n in range(len(proposals))]
    assert all(one is None or one[0] == proposal[0] for one, proposal in zip(accepted, proposals, strict=True))
    return [None if one is None else one[1] for one in accepted]


@pytest.mark.parametrize(
    ("proposed", "chosen"),
    [
        ([IMPLICIT, EXPLICIT], EXPLICIT),
        ([IMPLICIT, BIG_ENDIAN, EXPLICIT], BIG_ENDIAN),
        ([JPEG, IMPLICIT], IMPLICIT),
        ([JPEG_LOSSLESS, EXPLICIT], JPEG_LOSSLESS),
        ([JPEG2000, JPEG2000_LOSSLESS, IMPLICIT], JPEG2000_LOSSLESS),
        ([HTJ2K, HTJ2K_LOSSLESS], HTJ2K_LOSSLESS),
        ([RLE, EXPLICIT, IMPLICIT], RLE),
        ([DEFLATED, IMPLICIT], DEFLATED),
        ([JPEG], JPEG),
        ([HTJ2K], HTJ2K),
        ([MPEG4], MPEG4),
        (["1.2.3.4"], "1.2.3.4"),
        ([MIME], None),
    ],
)
def test_a_context_gets_the_senders_first_lossless_syntax_explicit_before_implicit_lossy_only_alone(
    tmp_path: Path, proposed: list[str], chosen: str | None
) -> None:
    with station(tmp_path) as node:
        assert negotiated(node.port, [(CT, proposed)]) == [chosen]


def test_contexts_of_one_sop_class_get_a_choice_each(tmp_path: Path) -> None:
    """Modalities propose one syntax per context: the choice of one must not spill over into another."""
    proposals: list[Proposal] = [
        (CT, [JPEG, IMPLICIT]), (CT, [JPEG]), (CT, [IMPLICIT]), (CT, [EXPLICIT, IMPLICIT]), (MR, [IMPLICIT, JPEG]),
        (CT, [JPEG_LOSSLESS]), (CT, [JPEG, JPEG2000_LOSSLESS]), (CT, [MIME]), (VERIFICATION, [IMPLICIT]),
        ("1.2.840.10008.5.1.4.1.2.1.1", [IMPLICIT]), (CT, [EXPLICIT, JPEG]),
    ]  # fmt: skip
    with station(tmp_path) as node:
        assert negotiated(node.port, proposals) == [
            IMPLICIT, JPEG, IMPLICIT, EXPLICIT, IMPLICIT, JPEG_LOSSLESS, JPEG2000_LOSSLESS, None, IMPLICIT,
            None, EXPLICIT,
        ]  # fmt: skip


def test_128_contexts_get_a_choice_each(tmp_path: Path) -> None:
    syntaxes = [EXPLICIT, IMPLICIT, JPEG, JPEG_LOSSLESS, RLE, DEFLATED, HTJ2K, BIG_ENDIAN]
    classes = [CT, MR, make.SECONDARY_CAPTURE, "1.3.12.2.1107.5.9.1"]
    proposals: list[Proposal] = [
        (classes[n % 4], [syntaxes[n % 8], syntaxes[(n // 8) % 8]] if n % 3 else [syntaxes[n % 8]]) for n in range(128)
    ]
    with station(tmp_path) as node:
        assert negotiated(node.port, proposals) == [choose([UID(t) for t in some]) for _, some in proposals]


_PROPOSED = st.lists(
    st.sampled_from([EXPLICIT, IMPLICIT, JPEG, JPEG_LOSSLESS, RLE, MPEG4, HTJ2K, "1.2.3"]), min_size=1, unique=True
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from([CT, MR]), _PROPOSED), min_size=1, max_size=20))
def test_whatever_is_proposed_each_context_is_answered_by_itself(tmp_path: Path, proposals: list[Proposal]) -> None:
    with station(tmp_path) as node:
        assert negotiated(node.port, proposals) == [choose([UID(t) for t in some]) for _, some in proposals]


def test_each_instance_is_kept_in_the_syntax_of_its_own_context(tmp_path: Path) -> None:
    instance = Instance.of(make.instance())
    proposals: list[Proposal] = [(CT, [EXPLICIT]), (CT, [JPEG]), (CT, [RLE]), (CT, [HTJ2K])]
    with station(tmp_path) as node, Sender(node.port, proposals) as sender:
        for context in (5, 1, 7, 3):
            assert sender.store(instance, context=context) == 0
        kept = [content_of(path)[0].transfer_syntax for path in sorted(node.kept(), key=lambda p: p.stat().st_mtime_ns)]
        assert kept == [RLE, EXPLICIT, HTJ2K, JPEG]


def test_a_refused_context_says_why(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    find = "1.2.840.10008.5.1.4.1.2.1.1"
    results: dict[int, int] = {}

    class Asking(Sender):
        def pdu(self) -> tuple[int, bytes]:
            kind, body = super().pdu()
            if kind == 0x02:
                results.update(_results(body))
            return kind, body

    with station(tmp_path) as node, Asking(node.port, [(find, [IMPLICIT]), (CT, [MIME]), (CT, [EXPLICIT])]):
        pass
    # PS3.8 Table 9-18: 3 abstract syntax not supported, 4 transfer syntaxes not supported
    assert results == {1: 3, 3: 4, 5: 0}
    assert "is no storage class" in caplog.text
    assert "none of these transfer syntaxes can be kept" in caplog.text


def _results(body: bytes) -> dict[int, int]:
    """Context id -> result, of each presentation context item (type 0x21) of an A-ASSOCIATE-AC."""
    found, at = {}, 68
    while at < len(body):
        kind, length = body[at], int.from_bytes(body[at + 2 : at + 4], "big")
        if kind == 0x21:
            found[body[at + 4]] = body[at + 6]
        at += 4 + length
    return found


def test_an_association_of_which_nothing_is_accepted_is_still_answered(tmp_path: Path) -> None:
    with station(tmp_path) as node:
        assert negotiated(node.port, [("1.2.840.10008.5.1.4.1.2.1.1", [IMPLICIT])]) == [None]
        node.until_nobody_is_here()


LISTS = """\
sop_classes: [CTImageStorage, 1.2.840.10008.5.1.4.1.1.4]
transfer_syntaxes: [ExplicitVRLittleEndian, JPEGLossless]"""


def test_lists_narrow_what_is_accepted_and_each_refusal_is_a_line_that_says_what_to_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    us, find = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.2.1.1"
    lossless = "1.2.840.10008.1.2.4.57"
    proposals: list[Proposal] = [
        (CT, [EXPLICIT, IMPLICIT]), (CT, [HTJ2K_LOSSLESS]), (CT, [IMPLICIT]), (MR, [lossless, IMPLICIT]),
        (us, [EXPLICIT]), (find, [IMPLICIT]), (CT, [MIME]), (VERIFICATION, [IMPLICIT]),
    ]  # fmt: skip
    with station(tmp_path, config=config_of(LISTS)) as node:
        for _ in range(2):
            assert negotiated(node.port, proposals) == [EXPLICIT, None, None, lossless, None, None, None, IMPLICIT]
        once = ["transfer_syntax", "transfer_syntax", "sop_class", "sop_class", "transfer_syntax"]
        assert node.turned_away == [("context", reason) for reason in once] * 2
    lines = [record.getMessage() for record in caplog.records if record.levelname != "INFO"]
    assert len(lines) == 5
    assert f"SENDER proposed {HTJ2K_LOSSLESS} for CT Image Storage; node: transfer_syntaxes does not list it" in lines
    assert f"SENDER proposed {us} (Ultrasound Image Storage); node: sop_classes does not list it" in lines
    assert any("which is no storage class" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("sop_classes: CTImageStorag", 'Did you mean "CTImageStorage"'),
        ("transfer_syntaxes: [1.2.3x]", "neither a UID"),
        ("sop_classes: [1.2..3]", "neither a UID"),
    ],
)
def test_a_list_of_what_does_not_exist_is_refused_at_load(text: str, error: str) -> None:
    with pytest.raises(ConfigurationError, match=error):
        config_of(text)


@pytest.mark.parametrize("processes", [0, 1])
def test_an_instance_of_a_class_that_is_not_listed_is_refused_in_whichever_context_it_comes(
    tmp_path: Path, processes: int, caplog: pytest.LogCaptureFixture
) -> None:
    us, mr = make.instance("1.2.840.10008.5.1.4.1.1.6.1"), make.instance("1.2.840.10008.5.1.4.1.1.4")
    with (
        station(tmp_path, config=config_of(LISTS), processes=processes) as node,
        Sender(node.port, [(CT, [EXPLICIT])]) as sender,
    ):
        sent = []
        while node.receivers is not None and not node.by:
            sent.append(sender.store(make.instance()))
        assert [sender.store(one, context=1) for one in (us, us, us)] == [0x0122] * 3
        # Another class than its context's, which is listed too, is kept.
        assert [sender.store(one, context=1) for one in (mr, make.instance())] == [0, 0]
        sender.release()
        node.until_nobody_is_here()
        until(lambda: len(node.received) == len(sent) + 2 and len(node.refused) == 3, "each is told")
        assert node.refused == [0x0122] * 3
        assert node.leftovers() == []
    lines = [record.getMessage() for record in caplog.records if record.levelname != "INFO"]
    assert lines == [
        "instance of SENDER at 127.0.0.1 refused: it is of 1.2.840.10008.5.1.4.1.1.6.1 (Ultrasound Image Storage), "
        "which node: sop_classes does not list"
    ]


def test_without_a_list_every_class_is_kept_in_whichever_context_it_comes(tmp_path: Path) -> None:
    us = make.instance("1.2.840.10008.5.1.4.1.1.6.1")
    with station(tmp_path) as node, Sender(node.port, [(CT, [EXPLICIT])]) as sender:
        assert sender.store(us, context=1) == 0
