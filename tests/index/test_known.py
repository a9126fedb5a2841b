"""What senders and sources said, as completion reads it: of the unit's senders alone, and under its called AE title."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from pydicom.dataset import FileDataset

from node.complete import Statement
from node.complete.policy import GoesBy
from node.index.known import Known, known, mark
from node.index.schema import commitment, commitment_item, completion, expected, procedure_step
from node.index.units import Open, open_units
from node.model import UnitKind
from tests import make
from tests.kit import Kit

STUDY, SERIES = make.uid("study"), make.uid("study", "series")
SENT = make.ct_series(3)
CAME = [str(one.SOPInstanceUID) for one in SENT]
RULES = """
complete: {series: {quiet: 60s}, study: {quiet: 60s}, floor: 1ms, evidence: [commitment, mpps, header]}
routes: [{name: all, when: always, steps: [drop]}]
"""


def requested(kit: Kit, *listed: str, calling: str = "CT1", called: str = "NODE") -> None:
    """A request for storage commitment, as receiving writes it."""
    values = {"transaction": f"1.{len(kit.rows(commitment))}", "digest": "", "sender": "127.0.0.1", "proof": "stored"}
    kit.write(
        sa.insert(commitment).values(
            **values, calling_ae=calling, called_ae=called, at=1.0, state="open", next_at=0.0, tries=0
        )
    )
    key = kit.rows(commitment)[-1]["id"]
    for number, uid in enumerate(listed, 1):
        kit.write(
            sa.insert(commitment_item).values(
                commitment=key, number=number, sop_class=make.CT_IMAGE, sop_instance=uid, state="waiting"
            )
        )


def performed(kit: Kit, series: str, *made: str, called: str = "NODE", study: str = STUDY) -> None:
    """A series of a procedure step that is over, as receiving writes it."""
    kit.write(
        sa.insert(expected).values(
            source="mpps", peer="CT1", called_ae=called, study=study, series=series, count=len(made),
            instances=json.dumps(made), at=2.0, reference=f"1.{len(kit.rows(expected))}",
        )
    )  # fmt: skip


def concatenation() -> list[FileDataset]:
    """The same three as parts of one object."""
    parts = make.ct_series(3)
    for number, ds in enumerate(parts, 1):
        ds.ConcatenationUID, ds.InConcatenationNumber, ds.InConcatenationTotalNumber = "1.5", number, 3
    return parts


def of(kit: Kit, kind: UnitKind = UnitKind.SERIES, goes_by: GoesBy | None = None) -> Known:
    chosen = goes_by if goes_by is not None else {"CT1": frozenset({"commitment", "mpps", "find", "header"})}
    with kit.database.reader.connect() as connection:
        found = open_units(connection, kit.database.now(connection) + 1, dict.fromkeys(UnitKind, (0.0, 0.0)))
        (one,) = [o for o in found if isinstance(o, Open) and o.unit.kind is kind]
        return known(connection, one, chosen)


def test_what_came_is_told_by_series(kit: Kit) -> None:
    kit.index(*SENT, make.report())
    kit.index(make.instance(number=9), called="OTHER")
    with kit.database.reader.connect() as connection:
        units = open_units(connection, kit.database.now(connection) + 1, dict.fromkeys(UnitKind, (0.0, 0.0)))
        (study,) = [u for u in units if u.unit.kind is UnitKind.STUDY and u.unit.called_ae == "NODE"]
        found = known(connection, study, {}).arrived
    assert found == {SERIES: frozenset(CAME), make.uid("study", "report"): frozenset({make.report().SOPInstanceUID})}


def test_a_request_touches_a_unit_when_it_lists_any_of_its_instances(kit: Kit) -> None:
    kit.index(*SENT)
    requested(kit, CAME[0], "1.9.1")
    requested(kit, "1.9.2")
    requested(kit, *CAME, calling="CT2")
    requested(kit, *CAME, called="OTHER")
    assert of(kit).statements == (
        Statement(
            source="commitment", peer="CT1", count=2, listed=frozenset({CAME[0], "1.9.1"}), absent=frozenset({"1.9.1"})
        ),
    )
    assert of(kit, goes_by={"CT1": frozenset({"mpps"})}).statements == ()


def test_what_a_request_lists_of_another_series_has_come_too(kit: Kit) -> None:
    kit.index(*SENT, make.report())
    requested(kit, *CAME, str(make.report().SOPInstanceUID))
    (one,) = of(kit, UnitKind.STUDY).statements
    assert one.absent == frozenset()


def test_a_procedure_step_is_found_by_series_and_for_a_study_by_study(kit: Kit) -> None:
    kit.index(*SENT)
    performed(kit, SERIES, *CAME, "1.9.1")
    performed(kit, "1.9", "1.9.2")
    performed(kit, SERIES, *CAME, called="OTHER")
    (one,) = of(kit).statements
    assert (one.source, one.series, one.absent) == ("mpps", SERIES, frozenset({"1.9.1"}))
    assert [s.series for s in of(kit, UnitKind.STUDY).statements] == [SERIES, "1.9"]


def test_a_step_in_progress_is_known(kit: Kit) -> None:
    kit.index(*SENT)
    values = {"calling_ae": "CT1", "called_ae": "NODE", "study": STUDY, "series": "[]", "at": 1.0}
    kit.write(sa.insert(procedure_step).values(sop_instance="1", state="COMPLETED", **values))
    assert not of(kit).performing
    kit.write(sa.insert(procedure_step).values(sop_instance="2", state="IN PROGRESS", **values))
    assert of(kit).performing
    assert not of(kit, goes_by={"CT1": frozenset({"find"})}).performing


def test_headers_are_read_for_those_who_go_by_them(kit: Kit) -> None:
    kit.index(*concatenation())
    (count,) = of(kit).headers
    assert (count.announced, count.here) == (3, 3)
    assert of(kit, goes_by={"CT1": frozenset({"find"})}).headers == ()


def test_the_mark_changes_with_every_word(kit: Kit) -> None:
    def now() -> object:
        with kit.database.reader.connect() as connection:
            return mark(connection)

    seen = [now()]
    requested(kit, "1.9")
    seen.append(now())
    performed(kit, "1.9", "1.9.2")
    seen.append(now())
    assert len(set(seen)) == 3


@pytest.mark.parametrize("how", ["commitment", "mpps", "header"])
def test_the_collector_closes_by_it_as_soon_as_it_is_said(kit: Kit, how: str) -> None:
    """The unit waited for its quiet time before; nothing comes but the word."""
    kit.rules(RULES)
    kit.index(*(concatenation() if how == "header" else SENT))
    kit.age(1)
    collector = kit.collector()
    collector.once()
    closed = kit.rows(completion)
    assert len(closed) == (how == "header")
    if how == "commitment":
        requested(kit, *CAME)
    elif how == "mpps":
        performed(kit, SERIES, *CAME)
    collector.once()
    evidence = [row["evidence"].partition(":")[0] for row in kit.rows(completion)]
    assert evidence == [how] * (1 if how == "header" else 2), "headers say nothing of a study"


def test_what_a_request_lacked_may_come_as_another_unit(kit: Kit) -> None:
    """The series is complete as soon as the report is here, though nothing of the series came."""
    kit.rules(RULES.replace("mpps, header", "mpps"))
    kit.index(*SENT)
    requested(kit, *CAME, str(make.report().SOPInstanceUID))
    collector = kit.collector()
    kit.age(100)
    collector.once()
    assert kit.rows(completion) == [], "known to be incomplete, past its quiet time"
    kit.index(make.report())
    kit.age(1)
    for key in collector.waiting:
        collector.waiting[key] -= 10
    collector.once()
    assert {row["evidence"].partition(":")[0] for row in kit.rows(completion)} == {"commitment"}
    assert len(kit.rows(completion)) == 3
