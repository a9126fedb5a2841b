from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from node.errors import CannotSucceed
from node.report import log


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Captures JSON lines, and puts the process's logging back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    out = io.StringIO()
    log.configure("json", "INFO", out)
    yield out
    logging.captureWarnings(False)
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level
    logging.getLogger("node").setLevel(logging.NOTSET)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_our_lines_and_the_libraries_come_in_the_same_form(stream: io.StringIO) -> None:
    structlog.get_logger("node.receive").info("stored", job="7.g1", study="1.2.3")
    logging.getLogger("node.deliver").warning("delivery %s held", "7.g1")
    logging.getLogger("dbos").warning("queue is slow")
    found = lines(stream)
    assert [line["event"] for line in found] == ["stored", "delivery 7.g1 held", "queue is slow"]
    assert [line["logger"] for line in found] == ["node.receive", "node.deliver", "dbos"]
    assert found[0]["study"] == "1.2.3"
    assert all(line["timestamp"].endswith("Z") for line in found)


def test_the_level_holds_for_the_node_and_libraries_speak_from_warning_on(stream: io.StringIO) -> None:
    logging.getLogger("node").debug("not this")
    logging.getLogger("dbos").info("nor this")
    logging.getLogger("node").info("this")
    assert [line["event"] for line in lines(stream)] == ["this"]


@pytest.mark.parametrize(
    "key", ["PatientName", "patient_id", "PatientBirthDate", "accession_number", "StudyDate", "fields"]
)
def test_keys_named_like_a_patients_attribute_lose_their_value(stream: io.StringIO, key: str) -> None:
    structlog.get_logger("node").warning("oops", **{key: "Secret^Person"})
    assert "Secret" not in stream.getvalue()
    assert lines(stream)[0][key] == log.REDACTED


@pytest.mark.parametrize(
    "key",
    [
        *("job", "route", "study", "series", "instance", "receipt", "unit", "generation", "destination", "status"),
        *("calling_ae", "called_ae", "sop_class", "transfer_syntax", "StudyInstanceUID", "modality"),
        *("count", "seconds", "reason", "tries"),
    ],
)
def test_the_words_that_lines_are_made_of_keep_theirs(stream: io.StringIO, key: str) -> None:
    structlog.get_logger("node").warning("fine", **{key: "kept"})
    assert lines(stream)[0][key] == "kept"


@pytest.mark.parametrize(
    "text",
    [
        "Association request failed: unable to connect to remote",
        "Result: Rejected Permanent, Source: Service User",
        "Reason: Calling AE title not recognised",
        "DIMSE timeout reached while waiting for message response",
        "The received PDU is shorter than expected (6 of 99 bytes received)",
    ],
)
def test_known_lines_of_pynetdicom_pass(stream: io.StringIO, text: str) -> None:
    logging.getLogger("pynetdicom.assoc").error(text)
    assert lines(stream)[0]["event"] == text


def test_a_data_set_that_pynetdicom_dumps_does_not_pass(stream: io.StringIO) -> None:
    logging.getLogger("pynetdicom.events").error("# Response\n(0010,0010) PN [Secret^Person]")
    logging.getLogger("pynetdicom.events").info("(0010,0010) PN [Secret^Person]")
    assert "Secret" not in stream.getvalue()
    assert len(lines(stream)) == 1


def test_an_exception_that_pynetdicom_logs_leaves_its_type_only(stream: io.StringIO) -> None:
    try:
        raise ValueError("Secret^Person")
    except ValueError as error:
        logging.getLogger("pynetdicom.dul").exception(error)
    assert "Secret" not in stream.getvalue()
    assert lines(stream)[0]["raised"] == "ValueError"


@given(st.text())
def test_nothing_else_of_pynetdicom_passes(text: str) -> None:
    record = logging.LogRecord("pynetdicom", logging.ERROR, "", 0, "Reason: %s", (f"fine\n{text}",), None)
    assert log.withhold(record)
    assert record.getMessage() == "message withheld: it may quote a data set"


def test_a_warning_of_pydicom_that_quotes_a_value_does_not_pass(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("Invalid value for VR DA: 'Secret'", UserWarning, stacklevel=1)
    assert "Secret" not in stream.getvalue()
    assert lines(stream)[0]["logger"] == "py.warnings"


def test_a_bug_is_logged_with_its_way_but_without_the_value_it_quotes(stream: io.StringIO) -> None:
    def breaks() -> None:
        raise ValueError("cannot parse 'Secret^Person'")

    try:
        breaks()
    except ValueError:
        logging.getLogger("node.run").exception("job held")
    (line,) = lines(stream)
    assert "Secret" not in stream.getvalue()
    assert line["raised"] == "ValueError"
    assert line["traceback"].startswith("test_log.py:")
    assert " breaks < test_log.py:" in line["traceback"]


def test_our_own_errors_keep_their_text(stream: io.StringIO) -> None:
    structlog.get_logger("node").error("held", exc_info=CannotSucceed("no pixel data"))
    assert lines(stream)[0]["raised"] == "CannotSucceed: no pixel data"


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_line_break_from_the_network_does_not_make_a_line(stream: io.StringIO, form: Any) -> None:
    out = io.StringIO()
    log.configure(form, "INFO", out)
    structlog.get_logger("node").info("hello\nforged line", calling_ae="A\nB")
    assert out.getvalue().count("\n") == 1


def test_configuring_twice_does_not_double_lines(stream: io.StringIO) -> None:
    log.configure("json", "INFO", stream)
    logging.getLogger("node").info("once")
    assert len(lines(stream)) == 1
