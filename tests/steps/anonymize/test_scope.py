"""What holds within a data set and its items: whose it is, how its text is read, and which action counts where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.dicom import levels
from node.dicom.encoding import element
from node.dicom.text import folded
from node.steps.anonymize.actions import Action, Do
from node.steps.anonymize.header import Encoded
from node.steps.anonymize.patients import Patient, Patients
from node.steps.anonymize.plan import NO_RULES, Rules, compile_plan
from node.steps.anonymize.pseudonyms import Pseudonyms
from node.steps.anonymize.scope import Scope, UndecidableError, counted, entered, goes_out, is_dummy, within
from node.steps.anonymize.text import UnreadableTextError
from tests import make
from tests.dicom.datasets import ITEM
from tests.steps.anonymize.driver import SECRET

SCOPE = Scope(
    plan=compile_plan(frozenset(), NO_RULES, make.CT_IMAGE), patients=Patients(SECRET), encodings=("utf8",),
    patient=Patient("0123456789abcdef", Pseudonyms(SECRET), -400, folded("4711-X")), own_uids=frozenset({"1.2.3"}),
)  # fmt: skip
PROCEDURE_CODES, CODE_VALUE, ACCESSION, TEXT_VALUE = 0x00081032, 0x00080100, 0x00080050, 0x0040A160


def header(*elements: bytes) -> Encoded:
    data = b"".join(elements)
    return Encoded(data, levels.top(data, 0, levels.EXPLICIT), levels.EXPLICIT)


def _patient(patient_id: bytes, issuer: bytes = b"") -> bytes:
    return element(0x00100020, "LO", patient_id) + element(0x00100021, "LO", issuer)


def test_an_item_has_its_own_patient_and_the_data_set_around_it_none() -> None:
    inner, find = replace(SCOPE, nested=True, path=(PROCEDURE_CODES,)), SCOPE.patients.find
    latin = element(0x00080005, "CS", b"ISO_IR 100")
    assert entered(SCOPE, header(_patient(b"T-2 "))).patient == SCOPE.patient
    assert entered(inner, header(_patient(b"T-2 "))).patient == find("", "T-2", "")
    assert entered(inner, header(latin, _patient(b"M\xfc", b"HERE"))).patient == find("HERE", "Mü", "")
    assert entered(inner, header(_patient(b"", b"HERE"))) == inner


def test_an_item_that_names_the_patient_without_an_issuer_means_the_one_around_it() -> None:
    inner = replace(SCOPE, nested=True, path=(PROCEDURE_CODES,))
    assert entered(inner, header(_patient(b"4711-X"))) == inner
    other = entered(inner, header(_patient(b"4711-X", b"HERE"))).patient
    assert other == SCOPE.patients.find("HERE", "4711-X", "")


def test_a_patient_that_does_not_decode_is_nobody() -> None:
    inner = replace(SCOPE, nested=True, path=(PROCEDURE_CODES,))
    with pytest.raises(UnreadableTextError):
        entered(inner, header(_patient(b"M\xfc")))
    with pytest.raises(UnreadableTextError):
        entered(SCOPE, header(element(0x00080005, "CS", b"OF NOBODY")))


@pytest.mark.parametrize(
    ("path", "found"),
    [((), Do.KEEP), ((PROCEDURE_CODES,), "HERE"), ((0x00400275, PROCEDURE_CODES), Do.EMPTY), ((0x00400275,), Do.KEEP)],
)
def test_the_most_exact_place_says_what_is_done(path: tuple[int, ...], found: Action) -> None:
    rules = Rules(
        actions={CODE_VALUE: Do.KEEP},
        paths={(PROCEDURE_CODES, CODE_VALUE): "HERE", (0x00400275, PROCEDURE_CODES, CODE_VALUE): Do.EMPTY},
    )
    scope = replace(SCOPE, plan=compile_plan(frozenset(), rules, make.CT_IMAGE), nested=bool(path), path=path)
    assert scope.action(CODE_VALUE) == found


@pytest.mark.parametrize(
    ("action", "holds"),
    [
        (None, set()), (Do.KEEP, set()), (Do.UID, set()), (Do.CLEAN, {"in_clean"}),
        (Do.CONTENT, {"in_clean", "in_content"}), (Do.DUMMY, {"in_dummy"}), (Do.HASH, {"in_dummy"}),
        ("x", {"in_dummy"}),
    ],
)  # fmt: skip
def test_what_is_done_to_a_sequence_holds_within_it(action: Action | None, holds: set[str]) -> None:
    inner = within(PROCEDURE_CODES, action, replace(SCOPE, own=(TEXT_VALUE, Do.CLEAN)))
    assert (inner.nested, inner.path, inner.own) == (True, (PROCEDURE_CODES,), None)
    assert {name for name in ("in_clean", "in_content", "in_dummy") if getattr(inner, name)} == holds
    assert is_dummy(action) == ("in_dummy" in holds)


def _content_item(value_type: bytes, concept: bytes, *more: bytes) -> Encoded:
    code = element(0x00080100, "SH", concept) + element(0x00080102, "SH", b"DCM ")
    name = element(0x0040A043, "SQ", ITEM + len(code).to_bytes(4, "little") + code)
    return header(element(0x0040A040, "CS", value_type), name, *more)


def test_a_content_item_goes_by_its_concept_unless_others_count_on_its_place() -> None:
    plan = compile_plan(frozenset({"clean_structured_content"}), NO_RULES, make.CT_IMAGE)
    inside = within(0x0040A730, Do.CONTENT, replace(SCOPE, plan=plan))
    accession, finding = _content_item(b"TEXT", b"121022"), _content_item(b"TEXT", b"121071")
    assert goes_out(accession, counted(inside, [accession, finding]))
    assert not goes_out(finding, inside)
    assert entered(inside, finding).own == (TEXT_VALUE, Do.DUMMY)
    reference = header(element(0x0040DB73, "UL", bytes(8)))
    by_place = counted(inside, [accession, finding, reference])
    assert by_place.by_place
    assert not goes_out(accession, by_place)
    assert entered(by_place, accession).own == (TEXT_VALUE, Do.DUMMY)


def test_an_item_without_a_value_that_must_go_and_is_counted_on_is_undecidable() -> None:
    plan = compile_plan(frozenset({"clean_structured_content"}), NO_RULES, make.CT_IMAGE)
    inside = replace(within(0x0040A730, Do.CONTENT, replace(SCOPE, plan=plan)), by_place=True)
    gone = next((code for (scheme, code, kind), do in plan.content.items()
                 if scheme == "DCM" and kind == "NUM" and do is Do.REMOVE), None)  # fmt: skip
    assert gone is not None
    with pytest.raises(UndecidableError, match="counted by a reference"):
        goes_out(_content_item(b"NUM ", gone.encode()), inside)
