"""User identity (PS3.7 D.3.3.7) over real sockets: who has to say who it is, and what the answer is."""

from __future__ import annotations

from pathlib import Path

import pytest
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from node.config import DestinationTls, Identity, Secret
from node.deliver.dicom import DicomTarget
from node.errors import TryAgain
from node.receive.admission import NO_IDENTITY, User
from tests.peers import Rejected, Sender
from tests.receive.station import config_of, station
from tests.receive.test_dcmtk import dcmtk

PEERS = """\
ct1: {ae_title: CT1, host: 127.0.0.1, identity: {user: Zoë, passcode: {env: CT1_PASSCODE}}}
ct2: {ae_title: CT2, host: 127.0.0.1, identity: {user: ct2}}
ct3: {ae_title: CT3, host: 127.0.0.1}"""


@pytest.fixture(autouse=True)
def _passcode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CT1_PASSCODE", "sesame")


def user(kind: int, name: str, passcode: str = "", *, asks: bool = False) -> UserIdentityNegotiation:
    item = UserIdentityNegotiation()
    item.user_identity_type, item.primary_field, item.positive_response_requested = kind, name.encode(), asks
    if passcode:
        item.secondary_field = passcode.encode()
    return item


@pytest.mark.parametrize("senders", ["anyone", "peers"])
@pytest.mark.parametrize(
    ("title", "item"),
    [
        ("CT1", user(2, "Zoë", "sesame")),
        ("CT2", user(1, "ct2")),
        ("CT2", user(2, "ct2", "whatever")),
        ("CT3", None),
        ("CT3", user(4, "<saml/>")),
    ],
)
def test_who_says_what_is_asked_is_admitted(
    tmp_path: Path, title: str, item: UserIdentityNegotiation | None, senders: str
) -> None:
    config = config_of(f"senders: {senders}", PEERS)
    with station(tmp_path, config=config) as node, Sender(node.port, calling_ae=title, user=item) as sender:
        assert sender.echo() == 0
        assert sender.confirmed is None


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (None, "it sent none"),
        (user(1, "Zoë"), "without a passcode"),
        (user(2, "Zoë", "simsim"), "user name or passcode is wrong"),
        (user(2, "Zoe", "sesame"), "user name or passcode is wrong"),
        (user(3, "ticket"), "it sent a Kerberos ticket"),
        (user(4, "<saml/>"), "it sent a SAML assertion"),
        (user(5, "e30"), "it sent a JSON Web Token"),
    ],
)
def test_who_does_not_is_rejected_and_the_line_gives_nothing_away(
    tmp_path: Path, item: UserIdentityNegotiation | None, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    with station(tmp_path, config=config_of("", PEERS)) as node:
        with pytest.raises(Rejected) as rejected, Sender(node.port, calling_ae="CT1", user=item):
            pass
        assert rejected.value.codes == NO_IDENTITY
        assert node.turned_away == [("association", "identity")]
    assert line in caplog.text
    assert "sesame" not in caplog.text
    assert "simsim" not in caplog.text


def test_a_sender_that_is_mended_step_by_step_is_told_each_time_what_is_wrong_now(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with station(tmp_path, config=config_of("", PEERS)) as node:
        for item in (None, user(1, "Zoë"), user(2, "Zoë", "simsim"), user(2, "Zoë", "sesam")):
            with pytest.raises(Rejected), Sender(node.port, calling_ae="CT1", user=item):
                pass
    assert [text.rpartition(": ")[2] for text in caplog.messages if "refused" in text] == [
        "it sent none; set it there, or take identity out of its peer",
        "it sent a user name without a passcode",
        "user name or passcode is wrong",
    ]


def test_the_answer_is_confirmed_where_that_is_asked(tmp_path: Path) -> None:
    with station(tmp_path, config=config_of("", PEERS)) as node:
        with Sender(node.port, calling_ae="CT1", user=user(2, "Zoë", "sesame", asks=True)) as sender:
            assert sender.confirmed == b""
        # Where none is asked for, none is checked, so nothing is confirmed.
        with Sender(node.port, calling_ae="CT3", user=user(2, "x", "y", asks=True)) as sender:
            assert sender.confirmed is None


def test_a_passcode_that_cannot_be_read_lets_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("CT1_PASSCODE")
    with (
        station(tmp_path, config=config_of("", PEERS)) as node,
        pytest.raises(Rejected),
        Sender(node.port, calling_ae="CT1", user=user(2, "Zoë", "sesame")),
    ):
        pass
    assert "CT1_PASSCODE is not set" in caplog.text


def test_our_own_identity_is_sent_to_a_destination_that_asks_for_one(tmp_path: Path) -> None:
    right = Identity(user="Zoë", passcode=Secret(env="CT1_PASSCODE"))
    with station(tmp_path, config=config_of("", PEERS)) as node:

        def check(identity: Identity | None, title: str = "CT1", tls: DestinationTls | None = None) -> str:
            return DicomTarget("NODE", "127.0.0.1", node.port, title, tls=tls, identity=identity).check()

        assert check(right)
        assert check(Identity(user="ct2"), "CT2")
        for wrong in (None, Identity(user="Zoe", passcode=Secret(env="CT1_PASSCODE"))):
            with pytest.raises(TryAgain, match="another user identity"):
                check(wrong)
        with pytest.raises(TryAgain, match="NOWHERE is not set"):
            check(Identity(user="Zoë", passcode=Secret(env="NOWHERE")))


def test_dcmtk_says_who_it_is(tmp_path: Path) -> None:
    peers = "ct1: {ae_title: CT1, host: 127.0.0.1, identity: {user: ct1, passcode: {env: CT1_PASSCODE}}}"
    (file,) = _files(tmp_path)
    with station(tmp_path / "node", config=config_of("", peers)) as node:
        to = ("-aet", "CT1", "-aec", "NODE", "127.0.0.1", node.port, file)
        assert dcmtk("storescu", "-usr", "ct1", "-pwd", "sesame", "-rsp", *to).returncode == 0
        assert dcmtk("storescu", "-usr", "ct1", "-pwd", "simsim", *to).returncode != 0
        assert dcmtk("storescu", *to).returncode != 0
        assert len(node.kept()) == 1


def _files(folder: Path) -> list[Path]:
    from tests import make

    return make.write_all(make.ct_series(1), folder / "in")


def test_who_wants_its_user_confirmed_where_none_is_asked_for_is_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """DCMTK's storescu with --pos-response ends such an association, and says so to nobody but its own user."""
    with station(tmp_path, config=config_of("", PEERS)) as node:
        for item in (user(2, "joe", "simsim", asks=True), user(2, "joe", "simsim")):
            with Sender(node.port, calling_ae="CT3", user=item) as sender:
                assert sender.echo() == 0
                assert sender.confirmed is None
    assert caplog.text.count("CT3 at 127.0.0.1 asks to have its user identity confirmed, and no identity is set") == 1
    assert "simsim" not in caplog.text
    assert "simsim" not in repr(User(kind=2, name=b"joe", passcode=b"simsim"))
