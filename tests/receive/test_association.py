"""What breaks the rules: a status or an end of the association, a line in the log, and no other trace."""

from __future__ import annotations

import errno
import logging
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from pynetdicom.association import Association

from node.receive.upper_layer import UpperLayer
from tests import make
from tests.dicom.datasets import DEFLATED, EXPLICIT, IMPLICIT, encoded, explicit
from tests.peers import VERIFICATION, Gone, Instance, Sender
from tests.receive.station import Station, junk, station, until

CT, MR = make.CT_IMAGE, make.MR_IMAGE
GOOD = Instance.of(make.instance())
CONTEXTS = [(CT, [EXPLICIT]), (VERIFICATION, [IMPLICIT])]


def changed(**values: str | None) -> Instance:
    """A good instance whose data set has these UIDs; None takes one away. The command names the good ones."""
    ds = make.instance()
    data = encoded(ds)
    for keyword, value in values.items():
        tag = {"SOPClassUID": 0x00080016, "SOPInstanceUID": 0x00080018, "StudyInstanceUID": 0x0020000D,
               "SeriesInstanceUID": 0x0020000E}[keyword]  # fmt: skip
        old = ds[keyword].value
        before = explicit(tag, "UI", old.encode() + b"\0" * (len(old) % 2))
        assert before in data
        new = value if value is None else value + "\0" * (len(value) % 2)
        data = data.replace(before, b"" if new is None else explicit(tag, "UI", new.encode()))
    return Instance(sop_class=CT, sop_instance=str(ds.SOPInstanceUID), transfer_syntax=EXPLICIT, data=data)


def commanded(sop_class: str = CT, sop_instance: str = str(make.instance().SOPInstanceUID)) -> Instance:
    """A good data set under a command that says something else."""
    return Instance(sop_class=sop_class, sop_instance=sop_instance, transfer_syntax=EXPLICIT, data=GOOD.data)


REFUSED: dict[str, tuple[Instance, int]] = {
    "text": (junk(data=b"this is no data set at all, only a text"), 0xC000),
    "noise": (junk(data=bytes(range(256)) * 8), 0xC000),
    "the beginning of an element": (junk(data=GOOD.data[:100]), 0xC000),
    "an element longer than the data set": (junk(data=explicit(0x00080016, "UI", b"1.2", 60000)), 0xC000),
    "a file instead of a data set": (junk(data=b"\0" * 128 + b"DICM" + GOOD.data), 0xC000),
    "no SOP Instance UID": (changed(SOPInstanceUID=None), 0x0117),
    "an empty SOP Instance UID": (changed(SOPInstanceUID=""), 0x0117),
    "a SOP Instance UID that is a path": (changed(SOPInstanceUID="../../../etc/passwd"), 0x0117),
    "a SOP Instance UID of 65 characters": (changed(SOPInstanceUID="1." * 32 + "1"), 0x0117),
    "another SOP Instance UID": (changed(SOPInstanceUID="1.2.3"), 0xA900),
    "no SOP class": (changed(SOPClassUID=None), 0xA900),
    "another SOP class": (changed(SOPClassUID=MR), 0xA900),
    "no study": (changed(StudyInstanceUID=None), 0xA900),
    "a study that is a path": (changed(StudyInstanceUID="../../x"), 0xA900),
    "no series": (changed(SeriesInstanceUID=None), 0xA900),
    "two series": (changed(SeriesInstanceUID="1.2\\1.3"), 0xA900),
    "a command that names another instance": (commanded(sop_instance="1.2.3"), 0xA900),
    "a command that names a path": (commanded(sop_instance="../../etc/passwd"), 0xA900),
    "a command whose instance is text": (commanded(sop_instance="not a uid"), 0xA900),
    "a command whose instance is too long": (commanded(sop_instance="1." * 40 + "1"), 0x0117),
    "a command without an instance": (commanded(sop_instance=""), 0x0117),
    "a command with two instances": (commanded(sop_instance="1.2.3\\1.2.4"), 0x0117),
}


# The test's own sender writes such commands with pydicom, which warns.
@pytest.mark.filterwarnings("ignore:(Invalid value for VR UI|The value length)")
@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_alone_and_the_next_one_is_taken(
    tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad, status = REFUSED[what]
    with station(tmp_path) as node, Sender(node.port, CONTEXTS, calling_ae="CT1") as sender:
        assert sender.store(bad, context=1) == status
        assert sender.store(GOOD) == 0
        assert node.stored() == [GOOD.data]
        assert node.leftovers() == []
        assert node.refused == [status]
        assert [mark.acknowledged for mark in node.presence.live()] == [1]
    (line,) = [r.getMessage() for r in caplog.records if r.name == "node.receive" and "refused" in r.getMessage()]
    assert line.startswith("instance of CT1 at 127.0.0.1 refused: ")
    ours = " ".join(r.getMessage() for r in caplog.records if r.name.startswith("node"))
    assert not any(word in ours for word in ("Invented", "T-0001", "A0001", "etc/passwd"))


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_bad_uid_is_not_sent_back(tmp_path: Path) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        for instance, echoed in ((commanded(sop_instance="../../etc/passwd"), False), (GOOD, True)):
            sender.begin(instance, context=1)
            _, body = sender.pdu()
            assert (instance.sop_instance.encode() in body) is echoed


def test_a_deflated_data_set_that_cannot_be_inflated_is_refused(tmp_path: Path) -> None:
    with station(tmp_path) as node, Sender(node.port, [(CT, [DEFLATED])]) as sender:
        assert sender.store(junk(data=b"\xff" * 100), context=1) == 0xC000
        assert node.kept() == []


@pytest.mark.parametrize("fragment", [[b""], []], ids=["of length zero", "missing"])
def test_an_instance_without_a_data_set_is_refused(tmp_path: Path, fragment: list[bytes]) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        sender.raw(sender.p_data(1, 0x03, command(GOOD, data_set=bool(fragment))))
        for part in fragment:
            sender.raw(sender.p_data(1, 0x02, part))
        assert sender.status() == 0xC000
        assert sender.store(GOOD) == 0


def command(
    instance: Instance, *, data_set: bool = True, leave_out: int = -1, field: int = 0x0001, respond_to: int = 0
) -> bytes:
    """A C-STORE-RQ written by hand (PS3.7 9.3.1.1); `leave_out` is an element of group 0."""
    elements = {
        0x0002: instance.sop_class.encode() + b"\0" * (len(instance.sop_class) % 2),
        0x0100: struct.pack("<H", field),
        0x0110: struct.pack("<H", 7),
        0x0700: struct.pack("<H", 0),
        0x0800: struct.pack("<H", 1 if data_set else 0x0101),
        0x1000: instance.sop_instance.encode() + b"\0" * (len(instance.sop_instance) % 2),
    }
    if respond_to:
        del elements[0x0110]
        elements |= {0x0120: struct.pack("<H", respond_to), 0x0900: b"\0\0"}
    elements.pop(leave_out, None)
    body = b"".join(struct.pack("<HHL", 0, tag, len(value)) + value for tag, value in sorted(elements.items()))
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


@pytest.mark.parametrize(("element", "status"), [(0x0002, 0x0117), (0x1000, 0x0117), (0x0700, 0)])
def test_a_command_that_lacks_something_is_answered(tmp_path: Path, element: int, status: int) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        sender.raw(sender.p_data(1, 0x03, command(GOOD, leave_out=element)))
        sender.raw(sender.p_data(1, 0x02, GOOD.data))
        assert sender.status() == status
        assert sender.store(GOOD) == 0


# ---- the association ends -------------------------------------------------------------------------------


def after_half(sender: Sender) -> None:
    sender.begin(GOOD, only=len(GOOD.data) // 2)


def in_the_middle_of_a_pdu(sender: Sender) -> None:
    sender.raw(sender.p_data(1, 0x03, command(GOOD)))
    sender.raw(sender.p_data(1, 0x02, GOOD.data)[:-50])


def after_the_command(sender: Sender) -> None:
    sender.raw(sender.p_data(1, 0x03, command(GOOD)))


@pytest.mark.parametrize("end", [Sender.cut, Sender.abort])
@pytest.mark.parametrize("moment", [after_half, in_the_middle_of_a_pdu, after_the_command])
def test_an_instance_that_breaks_off_leaves_no_trace_but_a_line_in_the_log(
    tmp_path: Path, moment: Callable[[Sender], None], end: Callable[[Sender], None], caplog: pytest.LogCaptureFixture
) -> None:
    with station(tmp_path) as node:
        sender = Sender(node.port, CONTEXTS, calling_ae="CT1")
        sender.connect()
        sender.associate()
        assert sender.store(GOOD) == 0
        moment(sender)
        end(sender)
        node.until_nobody_is_here()
        assert node.stored() == [GOOD.data]
        assert node.leftovers() == []
        assert len(node.arrivals) == 1
        lines = [r.getMessage() for r in caplog.records if r.name == "node.receive"]
    assert lines == ["CT1 at 127.0.0.1 went away in the middle of an instance; nothing of it is kept"]


def garbage(sender: Sender) -> None:
    sender.raw(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")


def an_endless_pdu(sender: Sender) -> None:
    sender.raw(struct.pack(">BBL", 0x04, 0, 0xFFFFFFFF) + b"\0" * 1000)


def a_pdu_whose_items_do_not_fit(sender: Sender) -> None:
    sender.raw(struct.pack(">BBLLBB", 0x04, 0, 6, 4000, 1, 0x03))


def an_unknown_command(sender: Sender) -> None:
    sender.raw(sender.p_data(1, 0x03, command(GOOD, data_set=False, field=0x0777)))


def a_command_without_its_field(sender: Sender) -> None:
    sender.raw(sender.p_data(1, 0x03, command(GOOD, leave_out=0x0100)))


def a_command_that_is_noise(sender: Sender) -> None:
    sender.raw(sender.p_data(1, 0x03, b"\xff" * 40))


def a_context_that_was_never_accepted(sender: Sender) -> None:
    sender.raw(sender.p_data(99, 0x03, command(GOOD)))
    sender.raw(sender.p_data(99, 0x02, GOOD.data))


def a_find(sender: Sender) -> None:
    sender.raw(sender.p_data(1, 0x03, command(GOOD, field=0x0020)))
    sender.raw(sender.p_data(1, 0x02, GOOD.data))


def a_second_association_request(sender: Sender) -> None:
    sender.raw(sender._associate_request())


# pynetdicom lets its own threads die of these; that they are reported is what the mark is for.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    "wrong",
    [
        garbage, an_endless_pdu, a_pdu_whose_items_do_not_fit, an_unknown_command, a_command_without_its_field,
        a_command_that_is_noise, a_context_that_was_never_accepted, a_find, a_second_association_request,
    ],
)  # fmt: skip
def test_what_cannot_be_answered_ends_its_association_and_no_other(
    tmp_path: Path, wrong: Callable[[Sender], None]
) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as bystander:
        with Sender(node.port, CONTEXTS) as sender:
            wrong(sender)
            with pytest.raises((Gone, ConnectionError)):
                sender.status()
        only(node, 1)
        assert bystander.store(GOOD) == 0
        assert node.stored() == [GOOD.data]
        assert node.leftovers() == []


def test_an_answer_that_nobody_asked_for_is_no_instance(tmp_path: Path) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        sender.raw(sender.p_data(1, 0x03, command(GOOD, data_set=False, field=0x8001, respond_to=1)))
        assert sender.store(GOOD) == 0
        assert len(node.kept()) == 1


def only(node: Station, count: int) -> None:
    """Wait until the node knows of so many associations: those that ended are forgotten, else they would fill
    the limits until the next start."""
    until(lambda: node.sessions.count() == count, f"{count} associations are left")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_comes_before_an_association_request_is_no_matter(tmp_path: Path) -> None:
    with station(tmp_path) as node:
        for first in (garbage, an_endless_pdu, after_the_command, lambda sender: None):
            sender = Sender(node.port, CONTEXTS)
            sender.connect()
            first(sender)
            sender.cut()
        with Sender(node.port, CONTEXTS) as sender:
            assert sender.store(GOOD) == 0
        node.until_nobody_is_here()


def test_a_connection_that_cannot_be_served_is_closed_with_one_line_and_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def no_more() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with station(tmp_path) as node:
        with monkeypatch.context() as scarce:
            scarce.setattr("node.receive.upper_layer.Bell", no_more)
            with pytest.raises(Gone), Sender(node.port, CONTEXTS):
                pass
        assert "a connection from 127.0.0.1 cannot be served: Too many open files" in caplog.text
        assert "Traceback" not in caplog.text + capfd.readouterr().err
        with Sender(node.port, CONTEXTS) as sender:
            assert sender.store(GOOD) == 0


def test_a_line_in_the_log_of_refused_instances_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with station(tmp_path) as node, Sender(node.port, CONTEXTS) as sender:
        sender.store(junk(), context=1)
    assert [r.levelno for r in caplog.records if "refused" in r.getMessage()] == [logging.WARNING]


@pytest.mark.parametrize("thread", [Association, UpperLayer])
def test_where_the_system_gives_no_thread_the_peer_is_told_at_once_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, thread: type
) -> None:
    def refused(self: object) -> None:
        raise RuntimeError("can't start new thread")

    with station(tmp_path) as node:
        with Sender(node.port, CONTEXTS) as sender:
            assert sender.store(GOOD) == 0x0000
        node.until_nobody_is_here()
        before = len(list(Path("/proc/self/fd").iterdir()))
        with monkeypatch.context() as patched:
            patched.setattr(thread, "start", refused)
            for _ in range(5):
                with socket.create_connection(("127.0.0.1", node.port), 10) as peer:
                    assert peer.recv(64)[:1] in (b"", b"\x07")
        until(
            lambda: len(list(Path("/proc/self/fd").iterdir())) <= before,
            "the descriptors of those that were not served",
        )
        assert "the system gives no more threads" in caplog.text
        assert "Traceback" not in caplog.text
        with Sender(node.port, CONTEXTS) as sender:
            assert sender.store(GOOD) == 0x0000
