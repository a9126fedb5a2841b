from __future__ import annotations

import logging

import pytest

from node.receive.lines import Lines


class Spoken:
    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 0.0
        self.lines = Lines(logging.getLogger("node.receive"), every=60.0, clock=lambda: self.now)
        self._caplog = caplog

    @property
    def texts(self) -> list[str]:
        return [record.getMessage() for record in self._caplog.records]


@pytest.fixture
def spoken(caplog: pytest.LogCaptureFixture) -> Spoken:
    return Spoken(caplog)


def test_what_is_repeated_every_second_is_one_line_a_minute_with_its_count(spoken: Spoken) -> None:
    for second in range(121):
        spoken.now = float(second)
        spoken.lines.say("10.1.2.3", ("CT1", "calling_ae"), "CT1 is none of peers")
        spoken.lines.settle()
    assert spoken.texts == [
        "CT1 is none of peers",
        "CT1 is none of peers (60 times more in 60 s)",
        "CT1 is none of peers (60 times more in 60 s)",
    ]


def test_the_last_repeats_are_said_too_and_then_nothing(spoken: Spoken) -> None:
    for _ in range(3):
        spoken.lines.say("10.1.2.3", ("CT1",), "CT1")
    for spoken.now in (61.0, 122.0, 183.0):
        spoken.lines.settle()
    assert spoken.texts == ["CT1", "CT1 (2 times more in 61 s)"]
    spoken.lines.say("10.1.2.3", ("CT1",), "CT1")
    assert spoken.texts[2:] == ["CT1"]


def test_different_things_are_different_lines_and_a_changed_number_is_not(spoken: Spoken) -> None:
    spoken.lines.say("10.1.2.3", ("CT1", "associations"), "64 are open")
    spoken.lines.say("10.1.2.3", ("CT1", "associations"), "65 are open")
    spoken.lines.say("10.1.2.3", ("CT1", "called_ae"), "calls ARCHIVE")
    spoken.lines.say("10.1.2.4", ("CT1", "called_ae"), "calls ARCHIVE")
    assert spoken.texts == ["64 are open", "calls ARCHIVE", "calls ARCHIVE"]


def test_an_address_that_always_takes_another_title_cannot_fill_the_log(spoken: Spoken) -> None:
    for number in range(10_000):
        spoken.lines.say("10.1.2.3", (f"T{number}",), f"T{number}")
    assert len(spoken.texts) == 201
    assert "10.1.2.3 is refused in more ways" in spoken.texts[-1]
    spoken.lines.say("10.1.2.4", ("CT2",), "CT2")
    assert spoken.texts[-1] == "CT2"
    for spoken.now in (61.0, 122.0):
        spoken.lines.settle()
    spoken.lines.say("10.1.2.3", ("T1",), "T1")
    assert spoken.texts[-1] == "T1"
