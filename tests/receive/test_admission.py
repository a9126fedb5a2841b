from __future__ import annotations

import threading
from pathlib import Path

import pytest

from node.model import Origin
from node.receive.admission import CALLED_AE, CALLING_AE, LOCAL_LIMIT, Reject, admit, plain
from tests import make
from tests.peers import VERIFICATION, Gone, Rejected, Sender, send
from tests.receive.station import config_of, station

EVERYTHING = [(VERIFICATION, ["1.2.840.10008.1.2"]), (make.CT_IMAGE, ["1.2.840.10008.1.2.1"])]


def origin(calling: str = "CT1", called: str = "NODE", sender: str = "10.1.2.3") -> Origin:
    return Origin(calling_ae=calling, called_ae=called, sender=sender)


def judged(text: str, who: Origin, others: list[Origin] | None = None, peer: bool = False) -> Reject | None:
    return admit(config_of(text), who, open_associations=others or [], is_peer=lambda _: peer)


def test_anyone_may_send_to_a_title_of_ours() -> None:
    assert judged("senders: anyone", origin()) is None
    assert judged("senders: anyone", origin(called="RESEARCH")) is None


@pytest.mark.parametrize("called", ["ARCHIVE", "node", "", "NODE2"])
def test_another_called_title_is_rejected_and_the_line_names_ours(called: str) -> None:
    reject = judged("", origin(called=called))
    assert reject is not None
    assert (reject.result, reject.source, reject.diagnostic) == CALLED_AE
    assert "NODE, RESEARCH" in reject.why


def test_only_peers_may_send_where_the_rules_say_so() -> None:
    assert judged("senders: peers", origin(), peer=True) is None
    reject = judged("senders: peers", origin())
    assert reject is not None
    assert (reject.result, reject.source, reject.diagnostic) == CALLING_AE


def test_associations_are_limited_in_all_and_per_address() -> None:
    limits = "limits: {associations: 3, per_sender: 2}"
    here, there = origin(), origin(sender="10.9.9.9")
    assert judged(limits, here, [here, there]) is None
    for others in ([here, here], [here, origin(calling="CT2")], [there, there, there]):
        reject = judged(limits, here, others)
        assert reject is not None
        assert (reject.result, reject.source, reject.diagnostic) == LOCAL_LIMIT
        assert "limits: " in reject.why


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
        node.until_nobody_is_here()
        assert node.kept() == []
    assert "association of STRANGER at 127.0.0.1 refused: " in caplog.text


def test_a_peer_is_admitted_where_only_peers_may_send(tmp_path: Path) -> None:
    config = config_of("senders: peers")
    with station(tmp_path, config=config, known=lambda who: who.calling_ae == "CT1") as node:
        assert send(node.port, [make.instance()], calling_ae="CT1") == [0]


@pytest.mark.parametrize("limits", ["{associations: 2}", "{per_sender: 2}"])
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
