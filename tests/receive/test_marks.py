"""The published list of what is being received."""

from __future__ import annotations

import errno
import threading
from contextlib import closing
from pathlib import Path

import pytest

from node.model import Origin
from node.receive.marks import publish
from node.receive.places import Admitted
from node.receive.session import Sessions
from node.spool import Presence
from tests import make
from tests.dicom.datasets import EXPLICIT
from tests.peers import Instance, Sender
from tests.receive.station import station, until
from tests.receive.test_session import identity


def test_a_slow_instance_is_published_until_it_is_there(tmp_path: Path) -> None:
    """So that completion, also that of other processes, waits for it."""
    instance = Instance.of(make.instance(number=2))
    stop = threading.Event()
    with (
        station(tmp_path) as node,
        closing(Presence(tmp_path / "run", "looker")) as looker,
        Sender(node.port, [(make.CT_IMAGE, [EXPLICIT])]) as sender,
    ):
        thread = threading.Thread(target=publish, args=(node.sessions, node.presence, stop))
        thread.start()

        def published() -> frozenset[str]:
            return next(mark.receiving for mark in looker.live() if mark.process == "one")

        assert sender.store(make.instance(number=1)) == 0
        sender.begin(instance, only=100)
        units = {f"NODE/{make.uid('study')}", f"NODE/{make.uid('study', 'series')}"}
        until(lambda: published() == units, "the units are published")
        sender.raw(sender.p_data(1, 0x02, instance.data[100:]))
        assert sender.status() == 0
        until(lambda: not published(), "they are no more")
        stop.set()
        thread.join()


def test_a_list_that_could_not_be_published_is_published_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that ended at the first error would leave the last list standing, and its units open."""
    sessions, stop, failures = Sessions(), threading.Event(), iter([True, True])
    real = Presence.receive

    def full(self: Presence, units: set[str]) -> None:
        if next(failures, False):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, units)

    sessions.enter("a", Origin(calling_ae="CT1", called_ae="NODE", sender="10.1.2.3"), lambda places: Admitted())
    session = sessions.serve("a")
    assert session is not None
    session.stored(identity())
    with closing(Presence(tmp_path, "own")) as presence:
        monkeypatch.setattr(Presence, "receive", full)
        thread = threading.Thread(target=publish, args=(sessions, presence, stop))
        thread.start()
        until(lambda: presence.live()[0].receiving == {"NODE/1.2", "NODE/1.2.1"}, "the list is there")
        stop.set()
        thread.join()
