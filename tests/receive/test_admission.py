from __future__ import annotations

import threading
from pathlib import Path

import pytest

from node.errors import ConfigurationError
from node.model import Origin
from node.receive.admission import CALLED_AE, CALLING_AE, LOCAL_LIMIT, Caller, admit, idle_limit, plain
from node.receive.places import Admitted, Place, Reject
from node.tls import Certificate
from tests import make
from tests.peers import VERIFICATION, Gone, Instance, Rejected, Sender, send
from tests.receive.station import config_of, station, until

EVERYTHING = [(VERIFICATION, ["1.2.840.10008.1.2"]), (make.CT_IMAGE, ["1.2.840.10008.1.2.1"])]

PEERS = "ct1: {ae_title: CT1, host: 10.1.2.3}"


def origin(calling: str = "CT1", called: str = "NODE", sender: str = "10.1.2.3") -> Origin:
    return Origin(calling_ae=calling, called_ae=called, sender=sender)


def judged(text: str, who: Origin, *others: Origin, peers: str = PEERS) -> Admitted | Reject:
    """Beside others, who are all in the middle of an instance."""
    places = [Place(key=number, origin=one, idle=None) for number, one in enumerate(others)]
    return admit(config_of(text, peers), Caller(origin=who), places)


def codes(verdict: Admitted | Reject) -> tuple[int, int, int] | None:
    return (verdict.result, verdict.source, verdict.diagnostic) if isinstance(verdict, Reject) else None


def why(verdict: Admitted | Reject) -> str:
    assert isinstance(verdict, Reject)
    return verdict.why


def test_anyone_may_send_to_a_title_of_ours() -> None:
    assert judged("senders: anyone", origin("STRANGER")) == Admitted()
    assert judged("senders: anyone", origin("STRANGER", called="RESEARCH")) == Admitted()


@pytest.mark.parametrize("called", ["ARCHIVE", "node", "", "NODE2"])
def test_another_called_title_is_rejected_and_the_line_names_ours(called: str) -> None:
    verdict = judged("", origin(called=called))
    assert codes(verdict) == CALLED_AE
    assert "NODE, RESEARCH" in why(verdict)


@pytest.mark.parametrize(
    ("host", "sender"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.0/24", "10.1.2.200"),
        ('"2001:db8::/32"', "2001:db8:1::9"),
        ('"::ffff:10.1.2.0/120"', "10.1.2.3"),
        ('["10.9.9.9", "fe80::/10"]', "fe80::1%eth0"),
    ],
)
def test_only_peers_may_send_where_the_rules_say_so(host: str, sender: str) -> None:
    peers = f"ct1: {{ae_title: CT1, host: {host}}}"
    assert judged("senders: peers", origin(sender=sender), peers=peers) == Admitted()
    for stranger in (origin("CT2", sender=sender), origin(sender="10.7.7.7"), origin(sender="2001:db9::1")):
        verdict = judged("senders: peers", stranger, peers=peers)
        assert codes(verdict) == CALLING_AE
        assert "none of peers" in why(verdict)


def test_associations_are_limited_in_all_per_sender_and_per_address() -> None:
    limits = "limits: {associations: 4, per_sender: 2, per_address: 3}"
    here, there, other = origin(), origin(sender="10.9.9.9"), origin("CT2")
    assert judged(limits, here, here, there) == Admitted()
    assert judged(limits, here, here, other) == Admitted()
    for others in ([here, here], [here, other, other], [there, there, other, other]):
        verdict = judged(limits, here, *others)
        assert codes(verdict) == LOCAL_LIMIT
        assert "limits: " in why(verdict)


def test_the_longest_idle_association_makes_room() -> None:
    idle = Place(key="idle", origin=origin("MR1"), idle=600.0)
    places = [idle, Place(key="busy", origin=origin("MR2"), idle=None)]
    assert admit(config_of("limits: {associations: 2}"), Caller(origin=origin()), places) == Admitted(idle)


def test_a_peer_may_have_more_or_fewer_associations_and_another_patience_than_others() -> None:
    peers = (
        "ct1: {ae_title: CT1, host: 10.1.2.3, associations: 40, idle: 2h}\n"
        "ct2: {ae_title: CT2, host: 10.1.2.4, associations: 1}"
    )
    ct1, ct2 = origin(), origin("CT2", sender="10.1.2.4")
    assert judged("", ct1, *[ct1] * 39, peers=peers) == Admitted()
    assert codes(judged("", ct1, *[ct1] * 40, peers=peers)) == LOCAL_LIMIT
    assert codes(judged("", ct2, ct2, peers=peers)) == LOCAL_LIMIT
    config = config_of("limits: {idle: 10m}", peers)
    assert [idle_limit(config, who) for who in (ct1, ct2)] == [7200.0, 600.0]


def test_a_peer_is_written_without_the_zone_of_its_address() -> None:
    with pytest.raises(ConfigurationError, match="leave out %eth0"):
        config_of("", 'ct1: {ae_title: CT1, host: "fe80::1%eth0"}')


@pytest.mark.parametrize(
    ("address", "shown"),
    [("10.1.2.3", "10.1.2.3"), ("::ffff:10.1.2.3", "10.1.2.3"), ("::1", "::1"), ("0:0::1", "::1"), ("name", "name")],
)
def test_an_ipv4_sender_has_one_address_whatever_the_socket(address: str, shown: str) -> None:
    assert plain(address) == shown


# ---- over the wire -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "called", "answer"),
    [("", "OTHER", CALLED_AE), ("senders: peers", "NODE", CALLING_AE), ("", "node", CALLED_AE)],
)
def test_a_stranger_is_rejected_with_the_reason_of_the_standard(
    tmp_path: Path, text: str, called: str, answer: tuple[int, int, int], caplog: pytest.LogCaptureFixture
) -> None:
    with station(tmp_path, config=config_of(text)) as node:
        with pytest.raises(Rejected) as rejected:
            send(node.port, [make.instance()], calling_ae="STRANGER", called_ae=called)
        assert rejected.value.codes == answer
        assert node.turned_away == [("association", "called_ae" if answer == CALLED_AE else "calling_ae")]
        node.until_nobody_is_here()
        assert node.kept() == []
    assert "association of STRANGER at 127.0.0.1 refused: " in caplog.text


def test_a_peer_is_admitted_where_only_peers_may_send(tmp_path: Path) -> None:
    config = config_of("senders: peers", "me: {ae_title: CT1, host: 127.0.0.1}")
    with station(tmp_path, config=config) as node:
        assert send(node.port, [make.instance()], calling_ae="CT1") == [0]


@pytest.mark.parametrize("limits", ["{associations: 2}", "{per_address: 2}"])
def test_over_the_limit_is_rejected_for_the_time_being_and_a_place_comes_free(tmp_path: Path, limits: str) -> None:
    with station(tmp_path, config=config_of(f"limits: {limits}")) as node:
        with Sender(node.port, EVERYTHING) as one, Sender(node.port, EVERYTHING, calling_ae="OTHER") as two:
            with pytest.raises(Rejected) as rejected, Sender(node.port, EVERYTHING):
                pass
            assert rejected.value.codes == LOCAL_LIMIT
            assert [one.store(make.instance()), two.echo()] == [0, 0]
        node.until_nobody_is_here()
        assert send(node.port, [make.instance()]) == [0]


def test_of_many_that_come_at_once_no_more_than_allowed_get_in(tmp_path: Path) -> None:
    start, over = threading.Barrier(12), threading.Barrier(12)
    admitted: list[int] = []

    def come(number: int) -> None:
        start.wait()
        try:
            with Sender(node.port, EVERYTHING) as sender:
                admitted.append(number)
                over.wait()
                sender.echo()
        except Rejected:
            over.wait()

    with station(tmp_path, config=config_of("limits: {associations: 3, per_sender: 9}")) as node:
        threads = [threading.Thread(target=come, args=(n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(admitted) == 3
        node.until_nobody_is_here()


def test_an_association_on_which_nothing_happens_is_closed(tmp_path: Path) -> None:
    with station(tmp_path, idle=0.2) as node, Sender(node.port, EVERYTHING) as sender:
        with pytest.raises(Gone):
            sender.status()
        node.until_nobody_is_here()


def test_at_the_limit_the_longest_idle_association_is_ended_and_the_busy_one_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    instance = Instance.of(make.instance())
    config = config_of("limits: {associations: 2}")
    with station(tmp_path, config=config, settled=0.0) as node:
        with Sender(node.port, EVERYTHING, calling_ae="OLD") as old, Sender(node.port, EVERYTHING) as busy:
            busy.begin(instance, only=50)
            until(lambda: any(place.idle is None for place in node.sessions.places()), "an instance is on its way")
            with Sender(node.port, EVERYTHING, calling_ae="NEW") as new:
                with pytest.raises(Gone):
                    old.status()
                assert new.echo() == 0
                busy.raw(busy.p_data(3, 0x02, instance.data[50:]))
                assert busy.status() == 0
            assert node.turned_away == [("ended", "room")]
        node.until_nobody_is_here()
    assert "association of OLD at 127.0.0.1, idle for 0 s, ended to make room for NEW at 127.0.0.1" in caplog.text


def test_a_peer_that_is_refused_again_and_again_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with station(tmp_path) as node:
        for _ in range(5):
            with pytest.raises(Rejected):
                send(node.port, [make.instance()], called_ae="OTHER")
        assert node.turned_away == [("association", "called_ae")] * 5
    assert len([one for one in caplog.records if "refused" in one.getMessage()]) == 1


@pytest.mark.parametrize(
    ("who", "hint"),
    [
        (origin(sender="10.1.2.4"), "; the host of its peer is 10.1.2.3, 10.5.0.0/16"),
        (origin("ct1"), '; peers has "CT1", and AE titles differ by case'),
        (origin("CT9"), "senders says peers"),
    ],
)
def test_who_is_none_of_peers_is_told_which_is_nearest(who: Origin, hint: str) -> None:
    peers = "ct1: {ae_title: CT1, host: [10.1.2.3, 10.5.0.0/16]}"
    assert why(judged("senders: peers", who, peers=peers)).endswith(hint)


def test_a_peer_that_has_many_hosts_is_told_some() -> None:
    peers = f"ct1: {{ae_title: CT1, host: {[f'10.1.2.{number}' for number in range(9)]}}}"
    assert why(judged("senders: peers", origin(sender="::1"), peers=peers)).endswith("10.1.2.3 and others")


@pytest.mark.parametrize(
    ("secured", "certificate", "hint"),
    [
        (False, None, "it came without TLS; have it send to an address of node: listen that has tls"),
        (True, None, "it showed none; give it one that `ca` of node: listen vouches for"),
        (
            True,
            Certificate("ab" * 32, frozenset({"b.example", "a.example"})),
            f"it showed that of a.example, b.example (SHA-256 {'ab' * 32}); where that is right, name it there",
        ),
    ],
)
def test_a_certificate_that_does_not_come_is_a_line_that_says_what_to_change(
    secured: bool, certificate: Certificate | None, hint: str
) -> None:
    tls = "listen: {address: 127.0.0.1:0, tls: {certificate: a.pem, key: a.key, ca: ca.pem}}"
    config = config_of(tls, "ct1: {ae_title: CT1, host: 10.1.2.3, certificate: ct1.example}")
    verdict = admit(config, Caller(origin=origin(), secured=secured, certificate=certificate), [])
    assert codes(verdict) == CALLING_AE
    assert why(verdict) == f'"CT1" is admitted only with the certificate that its peer names; {hint}'


@pytest.mark.parametrize("processes", [0, 1])
def test_a_peer_that_is_taken_out_of_the_rules_loses_its_open_association_and_no_other_does(
    tmp_path: Path, processes: int, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = (f"ct{number}: {{ae_title: CT{number}, host: 127.0.0.1}}" for number in (1, 2))
    with (
        station(tmp_path, config=config_of("senders: peers", f"{one}\n{two}"), processes=processes) as node,
        Sender(node.port, EVERYTHING, calling_ae="CT1") as first,
        Sender(node.port, EVERYTHING, calling_ae="CT2") as second,
    ):
        while node.receivers is not None and not node.by:
            assert first.store(make.instance()) == 0
        node.receiver.rules_changed()
        assert [first.store(make.instance()), second.store(make.instance())] == [0, 0]
        node.config = config_of("senders: peers", two)
        node.receiver.rules_changed()
        with pytest.raises(Gone):
            first.status()
        assert [second.store(make.instance()), second.echo()] == [0, 0]
        assert node.turned_away == [("ended", "rules")]
    assert 'association of CT1 at 127.0.0.1 ended, as the rules changed: "CT1" at 127.0.0.1 is none of' in caplog.text


def test_a_shorter_idle_time_holds_for_the_associations_that_are_open(tmp_path: Path) -> None:
    with station(tmp_path) as node, Sender(node.port, EVERYTHING) as sender:
        assert sender.echo() == 0
        node.idle = 0.3
        node.receiver.rules_changed()
        with pytest.raises(Gone):
            sender.status()
