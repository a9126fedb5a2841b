from __future__ import annotations

import pickle
import threading
from collections.abc import Sequence

import pytest

from node.model import UID, Identity, Origin
from node.receive import session as module
from node.receive.places import Admitted, Place, Reject
from node.receive.session import Phase, Sessions

ORIGIN = Origin(calling_ae="CT1", called_ae="NODE", sender="10.1.2.3")


def identity(study: str = "1.2", series: str = "1.2.1") -> Identity:
    return Identity(
        sop_class=UID("1"), sop_instance=UID("2"), study=UID(study), series=UID(series), transfer_syntax=UID("3")
    )


def entered(*keys: str) -> Sessions:
    sessions = Sessions()
    for key in keys:
        assert sessions.enter(key, ORIGIN, lambda places: Admitted()) == Admitted()
    return sessions


def test_who_is_not_admitted_is_not_counted() -> None:
    sessions = Sessions()
    no = Reject(1, 1, 3, "calling_ae", "a stranger")
    assert sessions.enter("a", ORIGIN, lambda places: no) == no
    sessions.arrive("a")
    assert (sessions.count(), sessions.session("a"), sessions.serve("a")) == (0, None, None)


def test_admission_sees_the_others() -> None:
    sessions = entered("a")
    seen: list[Place] = []

    def look(places: Sequence[Place]) -> Admitted:
        seen.extend(places)
        return Admitted()

    sessions.enter("b", ORIGIN, look)
    assert [(place.key, place.origin) for place in seen] == [("a", ORIGIN)]
    assert sessions.count() == 2


def test_an_association_is_idle_from_its_begin_and_from_each_answer_and_never_in_between() -> None:
    sessions = entered("a")

    def idle() -> float | None:
        (place,) = sessions.places()
        return place.idle

    begun = idle()
    assert begun is not None
    sessions.arrive("a")
    assert idle() is None
    sessions.serve("a")
    assert idle() is None
    threading.Event().wait(0.05)
    sessions.end("a")
    answered = idle()
    assert answered is not None
    assert answered < 0.05


def test_who_makes_room_is_no_longer_known_and_can_begin_nothing() -> None:
    sessions = entered("old")
    (place,) = sessions.places()
    sessions.enter("new", ORIGIN, lambda places: Admitted(place))
    assert [one.key for one in sessions.places()] == ["new"]
    sessions.arrive("old")
    assert sessions.session("old") is None
    assert sessions.serve("old") is None


def test_an_association_is_receiving_from_the_first_fragment_until_the_answer_is_out() -> None:
    sessions = entered("a")
    session = sessions.serve("a")
    assert session is not None
    session.stored(identity())
    sessions.end("a")
    assert sessions.receiving(0.0) == set()
    sessions.arrive("a")
    assert sessions.receiving(0.0) == {"NODE/1.2", "NODE/1.2.1"}
    assert sessions.receiving(60.0) == set()
    sessions.serve("a")
    assert sessions.receiving(0.0) == {"NODE/1.2", "NODE/1.2.1"}
    sessions.end("a")
    assert sessions.receiving(0.0) == set()


def test_a_long_association_remembers_the_latest_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 4)
    sessions = entered("a")
    session = sessions.serve("a")
    assert session is not None
    for n in (1, 2, 1, 3):
        session.stored(identity(f"1.{n}", f"1.{n}.1"))
    assert set(session.contributed) == {"NODE/1.1", "NODE/1.1.1", "NODE/1.3", "NODE/1.3.1"}


def test_last_calls_let_what_is_in_flight_end_and_nothing_else_begin() -> None:
    sessions = entered("flying", "idle")
    sessions.arrive("flying")
    assert sessions.last_calls() == ["idle"]
    sessions.arrive("idle")
    assert sessions.serve("idle") is None
    served = sessions.serve("flying")
    assert served is not None
    assert served.phase is Phase.SERVED
    assert not sessions.wait_until_answered(0.0)
    sessions.end("flying")
    assert sessions.wait_until_answered(0.0)
    assert sessions.serve("flying") is None


def test_waiting_ends_when_the_last_sender_goes_away() -> None:
    sessions = entered("a")
    sessions.arrive("a")
    sessions.last_calls()
    threading.Timer(0.05, sessions.remove, ("a",)).start()
    assert sessions.wait_until_answered(10.0)


def test_the_first_instance_of_an_association_is_received_for_its_unit_as_soon_as_it_says_which() -> None:
    class Beginning:
        uids: tuple[str, ...] = ()

        def belongs_to(self) -> tuple[str, ...]:
            return self.uids

    sessions = entered("a")
    session = sessions.session("a")
    assert session is not None
    sessions.arrive("a")
    session.arriving = beginning = Beginning()
    assert sessions.receiving(0.0) == set()
    beginning.uids = ("1.2", "1.2.1")
    assert sessions.receiving(0.0) == {"NODE/1.2", "NODE/1.2.1"}
    session.arriving = None
    assert sessions.receiving(0.0) == set()


def test_a_line_about_an_association_is_said_once_wherever_it_is_served() -> None:
    sessions = Sessions()
    sessions.enter("one", ORIGIN, lambda places: Admitted())
    lent = sessions.lend("one")
    assert lent is not None
    returned = pickle.loads(pickle.dumps(lent))
    assert [returned.first(line) for line in ("a", "b", "a")] == [True, True, False]
    sessions.back("one", returned)
    session = sessions.session("one")
    assert session is not None
    assert [session.first(line) for line in ("a", "b", "c")] == [False, False, True]
    assert sum(session.first(str(number)) for number in range(1000)) < 100
