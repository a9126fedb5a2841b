"""A large delivery goes over several associations, and over one where the peer takes no more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.uid import JPEGBaseline8Bit

from node.deliver.base import Outcome, Parcel
from node.deliver.dicom import DicomTarget
from node.deliver.several import Left, over_several
from node.errors import CannotSucceed, TryAgain
from node.model import Kind
from tests import make
from tests.deliver.test_dicom import Ledger, never, parcels
from tests.peers import Recorder

MANY = [Parcel(number=n, path=Path(f"{n}"), kind=Kind.DICOM) for n in range(20)]


class Peer:
    """Lets so many associations in."""

    def __init__(self, most: int = 9) -> None:
        self.most, self.open, self.opened = most, 0, 0
        self.got: list[tuple[int, int]] = []
        """(association, parcel)"""

    @contextmanager
    def associated(self) -> Iterator[int]:
        if self.open == self.most:
            raise TryAgain("local limit exceeded")
        self.open, self.opened = self.open + 1, self.opened + 1
        number = self.opened
        try:
            yield number
        finally:
            self.open -= 1


def always(further: int, first: int) -> bool:
    return True


def numbers(peer: Peer) -> list[int]:
    return sorted(number for _, number in peer.got)


def test_each_association_takes_the_next_parcel_and_all_arrive_once() -> None:
    peer, both = Peer(), threading.Barrier(2, timeout=10)

    def store(association: int, left: Left) -> None:
        for n, parcel in enumerate(left):
            if n == 0:
                both.wait()  # each has one in hand at the same time
            peer.got.append((association, parcel.number))

    over_several(2, MANY, peer.associated, store, always, "ARCHIVE")
    assert numbers(peer) == list(range(20))
    assert {association for association, _ in peer.got} == {1, 2}
    assert peer.open == 0


def test_one_association_brings_them_in_order() -> None:
    peer = Peer()
    over_several(
        1, MANY, peer.associated, lambda a, left: peer.got.extend((a, p.number) for p in left), always, "ARCHIVE"
    )
    assert peer.got == [(1, n) for n in range(20)]


def test_a_peer_that_lets_one_in_gets_everything_over_it(caplog: pytest.LogCaptureFixture) -> None:
    peer, refused = Peer(most=1), threading.Event()
    associated = peer.associated

    @contextmanager
    def tried() -> Iterator[int]:
        try:
            with associated() as number:
                yield number
        except TryAgain:
            refused.set()
            raise

    def store(association: int, left: Left) -> None:
        assert refused.wait(10)
        peer.got.extend((association, parcel.number) for parcel in left)

    with caplog.at_level("INFO", "node.deliver"):
        over_several(2, MANY, tried, store, always, "ARCHIVE at 10.0.0.1:104")
    assert peer.got == [(1, n) for n in range(20)]
    assert "ARCHIVE at 10.0.0.1:104 takes no further association: local limit exceeded" in caplog.text


def test_a_peer_that_serves_one_after_the_other_is_not_waited_for() -> None:
    """It answers the request for the second association when the first is over."""
    first_over = threading.Event()
    peer = Peer()

    @contextmanager
    def one_by_one() -> Iterator[int]:
        if peer.opened:
            assert first_over.wait(10)
        with peer.associated() as number:
            yield number
        first_over.set()

    over_several(2, MANY, one_by_one, lambda a, left: peer.got.extend((a, p.number) for p in left), always, "ARCHIVE")
    assert peer.got == [(1, n) for n in range(20)]


def test_a_further_association_that_accepts_less_brings_nothing(caplog: pytest.LogCaptureFixture) -> None:
    peer, compared = Peer(), threading.Event()

    def as_good(further: int, first: int) -> bool:
        assert (further, first) == (2, 1)
        compared.set()
        return False

    def store(association: int, left: Left) -> None:
        assert compared.wait(10)
        peer.got.extend((association, parcel.number) for parcel in left)

    with caplog.at_level("INFO", "node.deliver"):
        over_several(2, MANY, peer.associated, store, as_good, "ARCHIVE")
    assert peer.got == [(1, n) for n in range(20)]
    assert peer.open == 0
    assert "ARCHIVE accepts less on a further association" in caplog.text


def test_without_a_first_association_it_is_tried_again_later() -> None:
    with pytest.raises(TryAgain, match="local limit"):
        over_several(2, MANY, Peer(most=0).associated, lambda a, left: None, always, "ARCHIVE")


@pytest.mark.parametrize("broken", [1, 2])
def test_when_one_breaks_the_other_ends_after_what_it_has_in_hand(broken: int) -> None:
    peer, both, over = Peer(), threading.Barrier(2, timeout=10), threading.Event()

    def store(association: int, left: Left) -> None:
        parcels = iter(left)
        one = next(parcels)
        both.wait()
        if association == broken:
            over.set()
            raise TryAgain("the connection broke")
        assert over.wait(10)
        peer.got.append((association, one.number))
        peer.got.extend((association, parcel.number) for parcel in _until_told(left, parcels))

    def _until_told(left: Left, parcels: Iterator[Parcel]) -> Iterator[Parcel]:
        left.end()  # what `over_several` does at the same moment
        return parcels

    with pytest.raises(TryAgain, match="broke"):
        over_several(2, MANY, peer.associated, store, always, "ARCHIVE")
    assert len(peer.got) == 1


def test_a_bug_in_one_is_not_lost() -> None:
    def store(association: int, left: Left) -> None:
        if association == 2:
            raise CannotSucceed("a bug")
        list(left)

    with pytest.raises(CannotSucceed):
        over_several(2, [], Peer().associated, store, always, "ARCHIVE")


# ---- with a real peer -----------------------------------------------------------------------------------


def test_a_hundred_instances_go_over_two_associations_and_each_arrives_once(tmp_path: Path) -> None:
    sent, ledger = parcels(make.ct_series(120, rows=8, columns=8), tmp_path), Ledger()
    with Recorder(delay=0.002) as archive:
        DicomTarget("ARCHIVE", "127.0.0.1", archive.port, "NODE", associations=2).deliver(sent, ledger, never)
        assert archive.associations == 2
    assert sorted(archive.uids) == sorted(p.sop_instance for p in sent)
    assert ledger.outcomes == [Outcome.DELIVERED] * 120


def test_an_archive_that_takes_fewer_transfer_syntaxes_on_the_second_association_refuses_nothing(
    tmp_path: Path,
) -> None:
    """As an archive of several processes does that are not configured alike."""
    sent, ledger = parcels(make.ct_series(120, rows=8, columns=8), tmp_path), Ledger()
    with Recorder(delay=0.002, later_accept=[JPEGBaseline8Bit]) as archive:
        DicomTarget("ARCHIVE", "127.0.0.1", archive.port, "NODE", associations=2).deliver(sent, ledger, never)
        assert archive.associations == 2
    assert sorted(archive.uids) == sorted(p.sop_instance for p in sent)
    assert ledger.outcomes == [Outcome.DELIVERED] * 120


def test_dcmtk_that_serves_one_association_at_a_time_gets_everything(
    tmp_path: Path, storescp: tuple[int, Path]
) -> None:
    sent, ledger = parcels(make.ct_series(120, rows=8, columns=8), tmp_path), Ledger()
    port, folder = storescp
    DicomTarget("ARCHIVE", "127.0.0.1", port, "NODE", associations=2).deliver(sent, ledger, never)
    assert ledger.outcomes == [Outcome.DELIVERED] * 120
    assert {path.name.partition(".")[2] for path in folder.iterdir()} == {p.sop_instance for p in sent}


def test_fewer_go_over_one(tmp_path: Path) -> None:
    sent, ledger = parcels(make.ct_series(20, rows=8, columns=8), tmp_path), Ledger()
    with Recorder() as archive:
        DicomTarget("ARCHIVE", "127.0.0.1", archive.port, "NODE", associations=2).deliver(sent, ledger, never)
        assert archive.associations == 1
    assert archive.uids == [p.sop_instance for p in sent]
