"""One line per event, from us and from the libraries alike, and no patient data in any of them."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, TextIO

import structlog
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag

from node.dicom import deid_table
from node.errors import NodeError

REDACTED = "[redacted]"

_MORE = ("patient", "name", "birthdate", "accession", "mrn", "dataset", "header", "fields", "place")
"""Words for the same things that are no attribute keywords."""

_SAFE = re.compile(
    r"(?:Requesting|Accepting|Rejecting|Aborting|Releasing) Association"
    r"|Association (?:Accepted|Rejected|Aborted|Released|request failed: unable to connect to remote)"
    r"|Result: [\w ()]+, Source: [\w ()-]+"
    r"|Reason: [\w ()-]+"
    r"|No accepted presentation contexts"
    r"|(?:Network|DIMSE) timeout reached[\w ]*"
    r"|Connection closed [\w ]+"
    r"|Unknown PDU type received '0x[0-9A-F]{2}'"
    r"|The received PDU is shorter than expected \(\d+ of \d+ bytes received\)"
    r"|Unable to decode the received PDU data"
    r"|Received an invalid [\w-]+ (?:message|response from the peer)"
    r"|Attempted to send data over closed connection"
)
_WITHHELD = "message withheld: it may quote a data set"


def configure(form: Literal["console", "json"], level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log line of the process, structlog's and the standard library's, to `stream` (stderr).

    `console` is for people, `json` one object per line with `event`, `level`, `logger`, `timestamp` (UTC).
    `level` holds for the node; libraries speak from WARNING on. May be called again.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        trace,
        redact,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    out = stream or sys.stderr
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=out.isatty())
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _one_line, render],
        )
    )
    handler.addFilter(withhold)
    root = logging.getLogger()
    for old in [one for one in root.handlers if getattr(one, "of_the_node", False)]:
        root.removeHandler(old)
    handler.of_the_node = True  # type: ignore[attr-defined]  # how the next call finds it again
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("node").setLevel(level)
    _take_over("dbos", "pynetdicom", "pydicom", "deid", "py.warnings")
    logging.captureWarnings(True)


@cache
def _patient_data() -> frozenset[str]:
    """What PS3.15 Table E.1-1 says may identify, but for UIDs: lines name objects by them."""
    tags = [tag for tag in deid_table.rows() if dictionary_has_tag(tag) and dictionary_VR(tag) != "UI"]
    return frozenset([keyword_for_tag(tag).lower() for tag in tags] + list(_MORE))


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: the values of keys that are named like a patient's attribute are not written."""
    for key in event:
        if key.lower().replace("_", "") in _patient_data():
            event[key] = REDACTED
    return event


def trace(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: an exception as its type and where it passed, innermost first, on one line.

    The text is kept of our own errors only; a ValueError out of a library quotes the value.
    """
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else None
    if given is True:
        error = sys.exc_info()[1]
    if error is None:
        return event
    event["raised"] = f"{type(error).__name__}: {error}" if isinstance(error, NodeError) else type(error).__name__
    frames = reversed(traceback.extract_tb(error.__traceback__))
    event["traceback"] = " < ".join(f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in frames)
    return event


def withhold(record: logging.LogRecord) -> bool:
    """A logging filter: of pynetdicom's and pydicom's lines only known wordings pass with their text.

    Their messages quote values of data sets, and so do the warnings they give.
    """
    if record.name.partition(".")[0] not in ("pynetdicom", "pydicom", "deid", "py"):
        return True
    if not _SAFE.fullmatch(record.getMessage()):
        record.msg, record.args = _WITHHELD, None
    return True


def _one_line(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """No line break in the event itself: a value from the network must not look like a line of ours."""
    event["event"] = str(event.get("event", "")).replace("\r", "\\r").replace("\n", "\\n")
    return event


def _take_over(*names: str) -> None:
    """Let libraries' lines reach our handler and no other; some bring a handler and a level of their own."""
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)
