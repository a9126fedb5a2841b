"""Every form that a name or a day is written in says who or when it is, and the key of the corpus looks for it."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.corpus import writing
from benchmarks.corpus.generate import studies
from benchmarks.corpus.people import REPERTOIRES, WORD_SURNAMES, patient
from node.leaks.dates import dates_in, parsed
from node.leaks.fold import fold
from node.leaks.what import Place
from tests.benchmarks.corpus.conftest import Made


@pytest.mark.parametrize("number", range(2 * len(REPERTOIRES)))
def test_every_form_of_a_name_holds_a_part_that_identifies(number: int) -> None:
    person = patient(5, number).person
    forms = writing.names(person)
    assert len(set(forms)) > 3
    for form in forms:
        assert any(part.casefold() in form.casefold() for part in person.parts), (form, person.parts)
        assert not set(form.split()) <= set(WORD_SURNAMES)


@given(st.dates(date(1900, 1, 2), date(2099, 12, 31)))  # the first of 1900 is nobody's: what devices write for none
def test_every_form_of_a_day_is_another_one_and_the_second_reader_reads_it(day: date) -> None:
    forms = writing.days(day)
    assert len(set(forms)) == len(forms)
    wanted = parsed(f"{day:%Y%m%d}")
    for form in forms:
        assert wanted in set(dates_in(fold(form), Place.TEXT)), form


def test_the_key_looks_for_every_form_but_digits_that_another_day_may_be_moved_to() -> None:
    study = next(iter(studies(1, 1)))
    looked_for = set(study.tokens)
    assert {form for form in writing.days(study.day) if not form.isdecimal()} <= looked_for
    assert study.da() not in looked_for
    assert study.patient.birth_date in looked_for


def test_comments_and_reports_of_the_corpus_are_written_in_many_forms(corpus: Made) -> None:
    asked = [answer for one in corpus.instances for answer in one.answers if answer.place == "(0020,4000)"]
    removed = {value for answer in asked if answer.action.value == "text removed" for value in answer.values}
    assert {"/", "-", ","} <= {letter for value in removed for letter in value}
    assert [answer for answer in asked if answer.action.value == "text retained" and "lesion" in answer.values]
