from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.crosswalk.table import Entry, entries_of, moment, text_of
from node.dicom.text import folded

_text = st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), max_size=12).filter(
    lambda t: "\ufeff" not in t
)
_ids = _text.filter(lambda t: bool(folded(t)))
_pseudonyms = st.text("ABCxyz0189-_ ", min_size=1, max_size=12).map(str.strip).filter(bool)


@given(
    st.lists(
        st.builds(
            Entry, issuer=_text, patient_id=_ids, study=st.just(""),
            scheme=st.sampled_from(["key", "number:A-", "table:t.csv"]), pseudonym=_pseudonyms,
            key=st.just("k"), since=st.just(moment(0)),
        ),
        max_size=8,
        unique_by=(
            lambda e: (folded(e.issuer), folded(e.patient_id), e.scheme), lambda e: (e.scheme, e.pseudonym)
        ),
    )
)  # fmt: skip
def test_what_is_written_is_read_again(entries: list[Entry]) -> None:
    found, problems = entries_of(text_of(entries))
    assert problems == []
    assert [entry for _, entry in found] == entries
    assert [line for line, _ in found] == list(range(2, len(entries) + 2))


HEAD = "issuer,patient_id,study,scheme,pseudonym,key\n"


@pytest.mark.parametrize(
    ("lines", "line", "why"),
    [
        (",secretive,,key,X,\n,SECRETIVE ,,key,Y,", 3, "the same patient and scheme as in line 2"),
        (",secretive,,key,X,\n,q,,key,X,", 3, "the same pseudonym as in line 2"),
        (",secretive,,key,X,a\n,secretive,,number:A-,A-1,b", 3, "another key"),
        (",,,key,X,", 2, "patient_id, or of a study"),
        (",secretive,1.2,key,X,", 2, "patient_id, or of a study"),
        (",secretive,,key,,", 2, "printable ASCII"),
        (",secretive,,key,Jos\u00e9,", 2, "printable ASCII"),
        (",secretive,,keys,X,", 2, "a scheme is"),
    ],
)
def test_what_is_wrong_has_its_line_and_names_no_patient(lines: str, line: int, why: str) -> None:
    _, problems = entries_of(HEAD + lines)
    ((at, said),) = problems
    assert (at, why in said, "secretive" in said.lower()) == (line, True, False), said


def test_the_same_patient_may_have_a_name_in_each_scheme_and_a_study_stands_for_an_unknown() -> None:
    found, problems = entries_of(HEAD + ",p,,key,X,\n,p,,number:A-,A-0001,\n,,1.2.3,key,Y,")
    assert problems == []
    assert [entry.study for _, entry in found] == ["", "", "1.2.3"]
