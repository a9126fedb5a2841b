"""Associations over TLS: who is let in, who is not and why, and that nobody is held up by anybody's handshake."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.receive import association as module
from node.receive.admission import CALLING_AE
from node.tls import Certificates
from tests import make
from tests.authority import Authority
from tests.peers import VERIFICATION, Rejected, Sender
from tests.receive.station import Station, config_of, station, until
from tests.receive.test_dcmtk import dcmtk

CONTEXTS = [(VERIFICATION, ["1.2.840.10008.1.2"]), (make.CT_IMAGE, ["1.2.840.10008.1.2.1"])]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextlib.contextmanager
def secure_station(
    data: Path, authority: Authority, *, clients: str = "required", text: str = "", peers: str = "", **how: object
) -> Iterator[Station]:
    peers = peers or "other: {ae_title: OTHER, host: 10.1.2.3}"
    certificates = Certificates(authority.listening(clients))
    with station(data, config=config_of(text, peers), certificates=certificates, **how) as node:
        yield node


def test_an_instance_comes_over_tls_byte_for_byte(tmp_path: Path, authority: Authority) -> None:
    sender = authority.sender(authority.issue("ct1"))
    with secure_station(tmp_path, authority) as node:
        with Sender(node.port, CONTEXTS, tls=sender) as one, Sender(node.port, CONTEXTS, tls=sender) as two:
            large = make.ct_series(2)[1]
            assert [one.store(make.instance()), two.store(large), one.echo()] == [0, 0, 0]
        node.until_nobody_is_here()
        assert len(node.kept()) == 2


def test_a_busy_association_on_tls_stays_with_the_node(tmp_path: Path, authority: Authority) -> None:
    sender = authority.sender(authority.issue("ct1"))
    with secure_station(tmp_path, authority, processes=1) as node:
        with Sender(node.port, CONTEXTS, tls=sender) as one:
            assert [one.store(make.instance(number=number)) for number in range(20)] == [0] * 20
        node.until_nobody_is_here()
        assert node.by == []
        assert node.receivers is not None
        assert node.receivers._ones == []


def test_a_client_that_is_silent_in_its_handshake_blocks_nobody_and_is_cut_off(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_HANDSHAKE", 1.0)
    sender = authority.sender(authority.issue("ct1"))
    with secure_station(tmp_path, authority) as node:
        silent = [socket.create_connection(("127.0.0.1", node.port), timeout=10) for _ in range(20)]
        silent[0].send(b"\x16\x03\x01")
        with Sender(node.port, CONTEXTS, tls=sender) as one:
            assert one.echo() == 0
        for connection in silent:
            with connection, contextlib.suppress(ConnectionError):
                assert connection.recv(1) == b""
        until(lambda: len(node.turned_away) == 20, "each is counted")
        node.until_nobody_is_here()
    assert "did not finish the TLS handshake in time" in caplog.text


def test_a_handshake_that_is_ended_to_make_room_is_counted_once(tmp_path: Path, authority: Authority) -> None:
    sender = authority.sender(authority.issue("ct1"))
    with secure_station(tmp_path, authority) as node, contextlib.ExitStack() as stack:
        node.receiver.unasked.most, node.receiver.unasked.grace = 5, 0.05
        for _ in range(20):
            half = stack.enter_context(socket.create_connection(("127.0.0.1", node.port), timeout=10))
            half.sendall(b"\x16\x03\x01")
        with Sender(node.port, CONTEXTS, tls=sender) as one:
            assert one.echo() == 0
            until(lambda: len(node.turned_away) >= 15, "room is made")
        assert set(node.turned_away) == {("association", "unasked")}


def test_the_node_stops_at_once_while_a_handshake_is_open(tmp_path: Path, authority: Authority) -> None:
    with (
        secure_station(tmp_path, authority) as node,
        socket.create_connection(("127.0.0.1", node.port), timeout=10) as silent,
    ):
        silent.send(b"\x16")
        node.receiver.stop(1.0)  # a test that took 30 s here would fail by its time-out


@pytest.mark.parametrize(
    ("what", "line"),
    [("nothing", "shows no certificate"), ("a stranger's", "its certificate is not accepted"), ("no TLS", "no TLS")],
)
def test_who_is_not_let_in_is_one_line_that_says_why(
    tmp_path: Path, authority: Authority, what: str, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Authority(tmp_path / "other").issue("ct1")
    tls = {"nothing": authority.sender(), "a stranger's": authority.sender(stranger), "no TLS": None}[what]
    with secure_station(tmp_path, authority) as node:
        for _ in range(3):
            with pytest.raises(Exception, match=r".*"), Sender(node.port, CONTEXTS, tls=tls):
                pass
        until(lambda: len(node.turned_away) == 3, "each is counted")
        assert node.turned_away == [("association", "tls")] * 3
    # A client that hangs up first, on a busy machine, is refused for another reason, which has a line of its own.
    told = [r.getMessage() for r in caplog.records if "connection of 127.0.0.1 refused" in r.getMessage()]
    assert len([one for one in told if line in one]) == 1
    assert len(told) == len(set(told))


def test_a_probe_that_only_connects_is_no_line(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with secure_station(tmp_path, authority) as node:
        socket.create_connection(("127.0.0.1", node.port), timeout=10).close()
        with Sender(node.port, CONTEXTS, tls=authority.sender(authority.issue("ct1"))) as one:
            assert one.echo() == 0
        assert node.turned_away == []
    assert [one for one in caplog.records if one.levelname != "INFO"] == []


@pytest.mark.parametrize("senders", ["anyone", "peers"])
@pytest.mark.parametrize("bound_by", ["fingerprint", "name"])
def test_an_ae_title_that_is_bound_to_a_certificate_comes_with_no_other(
    tmp_path: Path, authority: Authority, senders: str, bound_by: str, caplog: pytest.LogCaptureFixture
) -> None:
    right, wrong = authority.issue("ct1", "DNS:ct1.example"), authority.issue("ct2", "DNS:ct2.example")
    named = f'"{right.sha256}"' if bound_by == "fingerprint" else "CT1.example"
    peers = f"ct1: {{ae_title: CT1, host: 127.0.0.1, certificate: {named}}}\nct2: {{ae_title: CT2, host: 127.0.0.1}}"
    config = config_of(f"senders: {senders}\n{LISTEN.format(authority=authority)}", peers)
    certificates = Certificates(authority.listening("optional"))
    with station(tmp_path, config=config, certificates=certificates) as node:

        def come(title: str, tls: object) -> None:
            with Sender(node.port, CONTEXTS, calling_ae=title, tls=tls) as one:  # type: ignore[arg-type]  # a context
                assert one.echo() == 0

        come("CT1", authority.sender(right))
        come("CT2", authority.sender(wrong))
        for tls in (authority.sender(wrong), authority.sender()):
            with pytest.raises(Rejected) as rejected:
                come("CT1", tls)
            assert rejected.value.codes == CALLING_AE
        assert node.turned_away == [("association", "certificate")] * 2
    assert wrong.sha256.replace(":", "").lower() in caplog.text


def test_an_ae_title_that_is_bound_to_a_certificate_does_not_come_in_clear(
    tmp_path: Path, authority: Authority
) -> None:
    peers = "ct1: {ae_title: CT1, host: 127.0.0.1, certificate: ct1.example}"
    with station(tmp_path, config=config_of(LISTEN.format(authority=authority), peers)) as node:
        with pytest.raises(Rejected), Sender(node.port, CONTEXTS, calling_ae="CT1"):
            pass
        with Sender(node.port, CONTEXTS, calling_ae="CT2") as other:
            assert other.echo() == 0


LISTEN = "listen: {{address: '127.0.0.1:0', tls: {{certificate: a, key: b, ca: {authority.ca}}}}}"


def test_dcmtk_sends_over_tls_and_is_refused_without_a_certificate(tmp_path: Path, authority: Authority) -> None:
    own = authority.issue("ct1")
    files = make.write_all(make.ct_series(3), tmp_path / "in")
    common = ("-aec", "NODE", "127.0.0.1")
    with secure_station(tmp_path / "node", authority) as node:
        tls = ("+tls", own.key, own.certificate, "+cf", authority.ca)
        result = dcmtk("storescu", *tls, *common, node.port, *files)
        if "unknown option" in result.stderr.lower():
            pytest.skip("this DCMTK is built without OpenSSL")
        assert result.returncode == 0, result.stderr
        assert len(node.kept()) == 3
        for refused in (("+tla", "+cf", authority.ca), ()):
            assert dcmtk("echoscu", *refused, *common, node.port).returncode != 0
        assert ("association", "tls") in node.turned_away
