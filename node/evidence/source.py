"""One source over the network: what it has by C-FIND, and missing instances by C-MOVE or C-GET (PS3.4 C.4).

Study Root, one level below the other, UIDs as keys: what every SCP supports. Nothing but UIDs and counts is asked for.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at run time
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from node.config import Remote
from node.deliver.contexts import Context
from node.deliver.dicom import DicomTarget
from node.deliver.entity import Stored
from node.deliver.sender import Timeouts
from node.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, tolerable_uid
from node.errors import TryAgain

FIND = str(StudyRootQueryRetrieveInformationModelFind)
GET = str(StudyRootQueryRetrieveInformationModelGet)
MOVE = str(StudyRootQueryRetrieveInformationModelMove)

_PENDING = (0xFF00, 0xFF01)
_MOST_ANSWERS = 100_000
_MOST_COUNTED = 2**31 - 1
"""The largest value of an IS (PS3.5 6.2)."""
_MOST_SECONDS = 120.0
"""For all questions about one study: a source that dribbles answers must not occupy us."""
_MOST_UNMOVED = 600.0
"""Of a C-MOVE or C-GET that is pending with the same counts: one instance of some gigabytes may take minutes. A source
that never comes to an end would not be asked for anything else either."""
_UIDS = 200
"""In one request: a list of UIDs is a value, and some peers limit its length."""
_MOST_CONTEXTS = 126
_PATIENCE = Timeouts(connect=5.0, associate=15.0, answer=60.0)


@dataclass(slots=True)
class Answer:
    """What a source has of a study; see node.complete.Reading."""

    study: int | None = None
    series: dict[str, int | None] = field(default_factory=dict)
    instances: dict[str, list[str]] = field(default_factory=dict)


class Refusal(TryAgain):
    """It answered one request with a status that is no success; the association goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """What came of a study."""

    series: Mapping[str, frozenset[str]]
    """Series -> SOP Instance UIDs."""
    whole: bool
    """Whether series of which nothing came count as missing: the study is waited for, not its series alone."""


Note = Callable[[str, Answer], None]
Failed = Callable[[str, str], None]
"""(study, why)"""

Wanted = Mapping[str, Sequence[str] | None]
"""Series -> SOP Instance UIDs, or None for all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is asked. Every method opens one association and raises TryAgain when it does not work."""

    remote: Remote
    calling_ae: str
    stop: Callable[[], bool]
    timeouts: Timeouts = _PATIENCE

    def read(self, studies: Mapping[str, Here], note: Note, failed: Failed) -> None:
        """Ask what it has of each study, and hand each answer to `note` as it comes, or to `failed` why there is none.
        One study that it does not answer for keeps nothing from the others, unless the association went with it: those
        behind it are handed to neither.

        A series of which it has more than came, or does not say how much it has, is asked for by instance.
        """
        with self._target().associated([Context(FIND, IMPLICIT_VR_LITTLE_ENDIAN)]) as association:
            self._accepted(association, "C-FIND")
            for study, here in studies.items():
                if self.stop():
                    return
                try:
                    answer = self._study(association, study, here)
                except Refusal as error:
                    failed(study, str(error))
                except TryAgain as error:
                    failed(study, str(error))
                    association.abort()  # it is in the middle of something, and would not answer a release
                    return
                else:
                    note(study, answer)

    def _study(self, association: Any, study: str, here: Here) -> Answer:
        over = time.monotonic() + _MOST_SECONDS
        answer = Answer()
        for one in self._find(association, over, "STUDY", study, NumberOfStudyRelatedInstances=None):
            answer.study = _count(one, "NumberOfStudyRelatedInstances")
        for one in self._find(
            association, over, "SERIES", study, SeriesInstanceUID="", NumberOfSeriesRelatedInstances=None
        ):
            if series := _uid(one, "SeriesInstanceUID"):
                answer.series[series] = _count(one, "NumberOfSeriesRelatedInstances")
        for series, count in sorted(answer.series.items()):
            came = here.series.get(series, frozenset())
            if not (here.whole or series in here.series) or (count is not None and count <= len(came)):
                continue
            found = self._find(association, over, "IMAGE", study, SeriesInstanceUID=series, SOPInstanceUID="")
            # One that ignores the key answers with all of the study.
            of_it = (one for one in found if _uid(one, "SeriesInstanceUID") in ("", series))
            named = {uid for one in of_it if (uid := _uid(one, "SOPInstanceUID"))}
            # Some SCPs count and do not list: then how many are missing is known, and not which.
            if named:
                answer.instances[series] = sorted(named - came)
            if count is None and named:
                answer.series[series] = len(named)
        return answer

    def _find(self, association: Any, over: float, level: str, study: str, **keys: Any) -> Iterator[Dataset]:
        identifier = Dataset()
        identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = level, study
        for keyword, value in keys.items():
            setattr(identifier, keyword, value)
        for number, (status, found) in enumerate(_responses(association.send_c_find, identifier, FIND)):
            code = status.get("Status")
            if code in _PENDING and found is not None:
                # One that ignores the key answers with every study it has.
                if _uid(found, "StudyInstanceUID") in ("", study):
                    yield found
            elif code != 0x0000:
                raise (TryAgain if code in (None, *_PENDING) else Refusal)(self._failed("C-FIND", code))
            if number >= _MOST_ANSWERS or time.monotonic() > over or self.stop():
                raise TryAgain(f"{self.remote} did not come to an end with its answers to C-FIND")

    def move(self, study: str, wanted: Wanted, to: str) -> str:
        """Have it send what is wanted to `to`, which is us. Returns what it says became of it."""
        with self._target().associated([Context(MOVE, IMPLICIT_VR_LITTLE_ENDIAN)]) as association:
            self._accepted(association, "C-MOVE")
            return self._retrieve(
                "C-MOVE", _identifiers(study, wanted), lambda one: (association.send_c_move, one, to, MOVE)
            )

    def get(self, study: str, wanted: Wanted, kinds: Collection[tuple[str, str]], stored: Stored) -> str:
        """Have it store what is wanted on this association.

        kinds   (SOP class, transfer syntax) to expect; uncompressed ones are always offered
        """
        classes = sorted({sop_class for sop_class, _ in kinds})
        offered = [*kinds, *((c, ts) for c in classes for ts in (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN))]
        contexts = [Context(c, ts) for c, ts in list(dict.fromkeys(offered))[:_MOST_CONTEXTS]]
        asking = [Context(GET, IMPLICIT_VR_LITTLE_ENDIAN), *contexts]
        with self._target().associated(asking, scp_of=classes, stored=stored) as association:
            self._accepted(association, "C-GET")
            return self._retrieve("C-GET", _identifiers(study, wanted), lambda one: (association.send_c_get, one, GET))

    def _retrieve(self, what: str, identifiers: Sequence[Dataset], call: Callable[[Dataset], tuple[Any, ...]]) -> str:
        done = failed = 0
        for identifier in identifiers:
            send, *arguments = call(identifier)
            status, moved, counts = Dataset(), time.monotonic(), tuple[str, ...]()
            for answered, _ in _responses(send, *arguments):
                status = answered
                if self.stop():
                    raise TryAgain("the node is stopping")
                before, counts = counts, _suboperations(status)
                moved = time.monotonic() if counts != before else moved
                if time.monotonic() - moved > _MOST_UNMOVED:
                    raise TryAgain(f"{self.remote} says that it goes on with the {what}, and nothing comes of it")
            code = status.get("Status")
            # 0xB000: sub-operations complete, one or more failures or warnings (PS3.4 Table C.4-2, C.4-3).
            if code not in (0x0000, 0xB000):
                raise TryAgain(self._failed(what, code))
            done += int(status.get("NumberOfCompletedSuboperations") or 0)
            failed += int(status.get("NumberOfFailedSuboperations") or 0)
        return f"{done} sent" + (f", {failed} failed there" if failed else "")

    def _target(self) -> DicomTarget:
        at = self.remote.address
        return DicomTarget(self.remote.ae_title, at.host, at.port, self.calling_ae, self.timeouts)

    def _accepted(self, association: Any, what: str) -> None:
        model = {"C-FIND": FIND, "C-MOVE": MOVE, "C-GET": GET}[what]
        if model not in [str(context.abstract_syntax) for context in association.accepted_contexts]:
            raise TryAgain(f"{self.remote} accepts associations but no {what} (Study Root)")

    def _failed(self, what: str, code: int | None) -> str:
        if code is None:
            return f"{self.remote} did not answer the {what} in time, or ended the association"
        return f"{self.remote} answered the {what} with 0x{code:04X}"


def _responses(send: Callable[..., Any], *arguments: Any) -> Iterator[tuple[Dataset, Dataset | None]]:
    """As pynetdicom gives them. Its RuntimeError says that the peer ended the association before the request."""
    try:
        yield from send(*arguments)
    except RuntimeError:
        yield Dataset(), None


def _suboperations(status: Dataset) -> tuple[str, ...]:
    """How far it says that it is (PS3.7 9.3.3.2, 9.3.4.2); the same every time where it does not say."""
    kinds = ("Remaining", "Completed", "Failed", "Warning")
    return tuple(str(status.get(f"NumberOf{kind}Suboperations")) for kind in kinds)


def _identifiers(study: str, wanted: Wanted) -> list[Dataset]:
    """One per series, or per _UIDS instances of it (PS3.4 C.4.2.1.4.1, C.4.3.1.3.1)."""
    found = []
    for series, instances in wanted.items():
        parts: list[list[str] | None] = [None]
        if instances is not None:
            parts = [list(instances[n : n + _UIDS]) for n in range(0, len(instances), _UIDS)]
        for part in parts:
            one = Dataset()
            one.QueryRetrieveLevel = "SERIES" if part is None else "IMAGE"
            one.StudyInstanceUID, one.SeriesInstanceUID = study, series
            if part is not None:
                one.SOPInstanceUID = part
            found.append(one)
    return found


def _uid(found: Dataset, keyword: str) -> str:
    """Empty where it is no UID: nothing else may get into the index or the log."""
    value = str(found.get(keyword) or "").strip(" \0")
    return value if tolerable_uid(value) else ""


def _count(found: Dataset, keyword: str) -> int | None:
    """Of an integer string (PS3.5 6.2), as it came: pydicom warns of one that is none, quoting it."""
    element = found.get_item(Tag(keyword))
    value = element.value if element is not None else b""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    number = re.fullmatch(r"\+?([0-9]{1,10})", text.strip(" \0"))
    if number is None or int(number[1]) > _MOST_COUNTED:
        return None
    return int(number[1])
