"""What counts as evidence of a patient in a text, and what does not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.leaks.automaton import Automaton
from node.leaks.collect import Collected
from node.leaks.kept import Kept
from node.leaks.what import Place, What
from node.steps.nifti.naming import by_series
from tests.leaks.patients import named


def says(collected: Collected, text: str, place: Place = Place.TEXT, kept: Kept = Kept()) -> set[What]:  # noqa: B008  a value
    return set(Automaton(collected, kept).search(text, place))


def identified(*values: str, what: What = What.ID) -> Collected:
    return named(identifiers=[(what, value) for value in values])


# ---- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "CT for Kowalczyk", "KOWALCZYK", "kowalczyk_anna.dcm", "Anna Kowalczyk", "Kowalczyk, Anna", "akowalczyk",
        "kowalczyka", "annakowalczyk", "KowalczykAnna", "ID7 Kowalczyk2", "pt.Kowalczyk",
    ],
)  # fmt: skip
def test_a_distinct_part_of_a_name_counts_wherever_it_stands(text: str) -> None:
    assert says(named("Kowalczyk^Anna"), text) == {What.PATIENT}


@pytest.mark.parametrize("text", ["kowalczykowa", "xkowalczyk", "kowal czyk", "an na"])
def test_a_part_of_a_word_or_a_word_torn_apart_does_not(text: str) -> None:
    assert says(named("Kowalczyk^Anna"), text) == set()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Head^Mary", "CT HEAD 5mm"), ("Long^John", "LONG AXIS"), ("Li^Wei", "LI RE"), ("May^Joe", "may be repeated"),
        ("Young^Kim", "young adult"), ("Head^Long", "head first, long axis"), ("Ray^Al", "X RAY"),
        ("Siemens^Eva", "SIEMENS"), ("Klein^Ute", "FOV klein"), ("von der Aue^Ute", "Schnitt von der Mitte"),
    ],
)  # fmt: skip
def test_a_word_that_is_also_a_name_does_not_count_alone(name: str, text: str) -> None:
    assert says(named(name), text) == set()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Head^Mary", "CT of Mary Head"), ("Head^Mary", "HEAD, MARY"), ("Long^May", "Long^May"), ("Li^Wei", "wei li"),
        ("Li^Wei", "li_wei.dcm"), ("Young^Kim", "KIM_YOUNG_1"), ("King^Li", "king-li"),
    ],
)  # fmt: skip
def test_two_such_words_side_by_side_do(name: str, text: str) -> None:
    assert says(named(name), text) == {What.PATIENT}


def test_a_word_counts_where_nothing_but_a_name_stands() -> None:
    assert says(named("Head^Mary"), "Head", Place.PERSON) == {What.PATIENT}
    assert says(named("Li^Wei"), "Li", Place.PERSON) == {What.PATIENT}
    assert says(named("Li^Wei"), "48li203f", Place.PERSON) == set(), "digits touch it: a pseudonym"


def test_a_word_beside_a_short_identifier_counts_but_not_beside_one_or_two_digits() -> None:
    assert says(named("Head^Mary", identifiers=[(What.ID, "1")]), "HEAD 1") == set()
    collected = named("Head^Mary", identifiers=[(What.ID, "712")])
    assert says(collected, "Head 712") == {What.ID}
    assert says(collected, "712 mm") == set()


@pytest.mark.parametrize("name", ["ANONYMIZED", "Unknown", "Anonymous^Patient", "Test^Patient", "Dr.", "^^^", ""])
def test_names_of_nobody_are_not_looked_for(name: str) -> None:
    for place in (Place.TEXT, Place.PERSON):
        assert says(named(name), "ANONYMIZED test patient unknown dr", place) == set()


def test_names_in_other_scripts_are_found_within_sentences() -> None:
    yamada = named("Yamada^Tarou=山田^太郎=やまだ^たろう")
    for text in ("患者は山田太郎です", "山田様の検査", "ヤマダ", "Dr. yamada", "taro yamada"):
        assert says(yamada, text) == {What.PATIENT}, text
    assert says(yamada, "山の画像") == set()
    assert says(named("Wang^XiaoDong=王^小东"), "王小东") == {What.PATIENT}
    assert says(named("Иванов^Пётр"), "снимок: ИВАНОВ П.") == {What.PATIENT}
    assert says(named("Ivanov^Petr"), "для Иванов") == {What.PATIENT}


def test_parts_with_hyphens_and_several_words_are_found_together_and_apart() -> None:
    name = named("Müller-Königstein van der Aalst^Marie-Claire")
    for text in ("koenigstein", "mueller koenigstein", "MULLERKONIGSTEIN", "Aalst", "vanderaalst", "marie claire"):
        assert What.PATIENT in says(name, text), text


# ---- identifiers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("MRN-0047113", "mrn47113"), ("0047113", "47113"), ("47113", "id 0047113"), ("12-345-67", "1234567"),
        ("1234567", "12.345.67"), ("1234567", "12 345 67"), ("AB1234C", "ab-1234-c"), ("12345678", "x2012345678901"),
        ("1234567", "PAT1234567.dcm"), ("48ed203f58fe4473", "of 48ED203F58FE4473"), ("0815/2017-AZ", "0815 2017 az"),
        ("4711^^^HOSP&1.2&ISO", "x"), ("K123456", "123456"),
    ],
)  # fmt: skip
def test_an_identifier_is_found_with_and_without_separators_and_zeros(value: str, text: str) -> None:
    assert says(identified(value), text) == ({What.ID} if text != "x" else set())


@pytest.mark.parametrize(
    ("value", "text", "place"),
    [
        ("512", "512 x 512", Place.TEXT),
        ("1", "1", Place.TEXT),
        ("12345", "0.12345", Place.TEXT),
        ("12345", "12345.5", Place.TEXT),
        ("1234", "1234", Place.NUMBER),
        ("47113", "47113", Place.NUMBER),
        ("HEAD", "HEAD", Place.IDENTIFIER),
        ("47113", "0d2c47113fa9e5b6c7d8", Place.TEXT),
        ("00000", "0", Place.IDENTIFIER),
        ("11111", "11111", Place.TEXT),
        ("SERIES001", "series 1", Place.TEXT),
        ("47113", "x 47113", Place.BYTES),
    ],
)
def test_a_short_number_is_none_where_numbers_stand(value: str, text: str, place: Place) -> None:
    assert says(identified(value), text, place) == set()


def test_a_short_identifier_counts_as_the_whole_of_an_identifying_attribute() -> None:
    assert says(identified("7"), "7", Place.IDENTIFIER) == {What.ID}
    assert says(identified("007"), "7", Place.IDENTIFIER) == {What.ID}
    assert says(identified("7"), "7 of 9", Place.IDENTIFIER) == set()


@pytest.mark.parametrize("value", ["A12", "123", "0123", "4711", "AB1"])
def test_a_short_identifier_counts_as_all_that_a_text_says_and_behind_a_label(value: str) -> None:
    automaton = Automaton(named("Kowalczyk^Anna", identifiers=[(What.ID, value)]), Kept())
    for text in (value, f" {value.lower()} ", f"ID: {value}", f"seen as patient {value}, again", f"MRN_{value}"):
        assert automaton.search(text) == {What.ID}, text
    for text in (f"slice {value}", f"{value} mm", f"patients {value}", f"x{value}"):
        assert not automaton.search(text), text


@pytest.mark.parametrize("value", ["7", "12", "A1", "000"])
def test_one_of_two_characters_does_not(value: str) -> None:
    automaton = Automaton(named("Kowalczyk^Anna", identifiers=[(What.ID, value)]), Kept())
    assert not automaton.search(value)
    assert not automaton.search(f"patient {value}")


def test_nor_does_a_short_number_where_numbers_stand() -> None:
    automaton = Automaton(named("Kowalczyk^Anna", identifiers=[(What.ID, "123")]), Kept())
    assert not automaton.search("123", Place.NUMBER)
    assert not automaton.search("123", Place.BYTES)


def test_a_long_whole_number_is_an_identifier_also_where_numbers_stand() -> None:
    assert says(identified("88123457"), "88123457", Place.NUMBER) == {What.ID}


def test_telephone_numbers_are_found_with_and_without_country_code() -> None:
    collected = Collected(phones=frozenset({"+49 (0)761 555-0199", "anna.k@example.org"}))
    for text in ("0761 5550199", "+49 761 5550199", "call 761-555-0199", "ANNA.K@EXAMPLE.ORG"):
        assert says(collected, text) == {What.CONTACT}, text
    assert says(collected, "761 555") == set()


# ---- institutions and addresses ------------------------------------------------------------------------------


def test_an_institution_is_known_by_a_word_of_its_own_and_not_by_what_all_have() -> None:
    collected = named(phrases=[(What.INSTITUTION, "Charité University Hospital, Dept. of Radiology")])
    assert says(collected, "charite protocol") == {What.INSTITUTION}
    assert says(collected, "University Hospital Radiology") == set()


def test_a_department_is_not_known_by_a_word() -> None:
    collected = Collected(departments=frozenset({"Neuro Waldau 3"}))
    assert says(collected, "neuro") == set()
    assert says(collected, "Neuro, Waldau") == {What.INSTITUTION}


def test_an_institution_of_ordinary_words_is_found_by_three_of_them_in_its_order() -> None:
    collected = named(phrases=[(What.INSTITUTION, "St. Elsewhere Memorial Hospital"), (What.INSTITUTION, "MR Center")])
    assert says(collected, "cardiac ST ELSEWHERE MEMORIAL HOSPITAL") == {What.INSTITUTION}
    assert says(collected, "memorial hospital elsewhere") == set()
    assert says(collected, "MR Center") == set()


def test_the_make_of_the_device_is_no_institution() -> None:
    collected = Collected(phrases=frozenset({(What.INSTITUTION, "Acmescan Center")}), makes=frozenset({"acmescan"}))
    assert says(collected, "Acmescan 3000") == set()


def test_an_address_needs_two_words_or_its_line() -> None:
    collected = named(phrases=[(What.CONTACT, "12 Lindenallee, 79104 Zähringen")])
    assert says(collected, "Lindenallee 12") == set()
    assert says(collected, "12 lindenallee") == {What.CONTACT}
    assert says(collected, "Lindenallee, Zaehringen") == {What.CONTACT}
    assert says(collected, "Zähringen technique") == set()


# ---- UIDs ----------------------------------------------------------------------------------------------------


def test_uids_are_found_whole_and_at_the_beginning_of_longer_ones() -> None:
    uid = "1.3.12.2.1107.5.2.30.26380.30000"
    collected = Collected(uids=frozenset({uid, "1.2.3"}))
    for text in (uid, f"see {uid}.", f"{uid}.5"):
        assert says(collected, text) == {What.UID}, text
    for text in (f"{uid}1", uid[:-1], "2." + uid):
        assert says(collected, text) == set(), text
    assert says(collected, "1.2.3", Place.UID) == {What.UID}
    assert says(collected, "1.2.3.4", Place.UID) == set()


def test_identifiers_and_dates_are_found_in_uids_but_not_in_ours() -> None:
    collected = Collected(identifiers=frozenset({(What.ID, "8812345")}), dates=frozenset({(What.DATE, (2017, 8, 23))}))
    assert says(collected, "1.2.276.8812345.20170823.1", Place.UID) == {What.ID, What.DATE}
    assert says(collected, "2.25.8812345201708238812345", Place.UID) == set()
    assert says(collected, "1.2.840.10008.8812345", Place.UID) == set()


# ---- as a whole ----------------------------------------------------------------------------------------------


def test_what_is_kept_on_purpose_is_not_looked_for() -> None:
    collected = Collected(
        uids=frozenset({"1.2.3.4.5"}), identifiers=frozenset({(What.DEVICE, "AWP45557")}),
        dates=frozenset({(What.DATE, (2017, 8, 23)), (What.BIRTH, (1961, 4, 9))}),
        phrases=frozenset({(What.INSTITUTION, "Charité")}),
    )  # fmt: skip
    text = "1.2.3.4.5 AWP45557 20170823 19610409 Charité"
    everything = {What.UID, What.DEVICE, What.DATE, What.BIRTH, What.INSTITUTION}
    assert says(collected, text) == everything
    for option, what in (
        ("retain_uids", What.UID), ("retain_device_identity", What.DEVICE), ("retain_long_full_dates", What.DATE),
        ("retain_institution_identity", What.INSTITUTION),
    ):  # fmt: skip
        assert says(collected, text, kept=Kept.of([option])) == everything - {what}


def test_the_birth_date_of_a_newborn_is_kept_with_the_date_of_the_study() -> None:
    collected = Collected(dates=frozenset({(What.DATE, (2017, 8, 23)), (What.BIRTH, (2017, 8, 23))}))
    assert says(collected, "20170823") == {What.BIRTH}
    assert says(collected, "20170823", kept=Kept.of(["retain_long_full_dates"])) == set()


@given(st.text(max_size=80), st.sampled_from(Place))
def test_nothing_is_found_in_any_text_of_a_patient_of_whom_nothing_is_known(text: str, place: Place) -> None:
    assert says(Collected(), text, place) == set()


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_surname_is_found_between_any_words(before: str, behind: str) -> None:
    assert What.PATIENT in says(named("Kowalczyk^Anna"), f"{before} Kowalczyk {behind}")


@given(st.text(max_size=40))
def test_any_name_can_be_looked_for_in_itself(name: str) -> None:
    says(named(name), name)
    says(identified(name), name)


def test_the_time_does_not_depend_on_how_much_is_looked_for() -> None:
    text = "axial t2 flair fs tra 3mm " * 40
    few = Automaton(named("Kowalczyk^Anna"), Kept())
    many = Automaton(
        Collected(
            names=frozenset((What.PERSON, f"Surname{n}xy^Given{n}") for n in range(400)),
            uids=frozenset(f"1.2.3.4.5.{n}" for n in range(20_000)),
        ),
        Kept(),
    )

    def seconds(automaton: Automaton) -> float:
        times = []
        for n in range(5):
            began = time.process_time()
            automaton.search(f"{text} {n}")
            times.append(time.process_time() - began)
        return min(times)

    assert seconds(many) < 20 * seconds(few) + 0.01


def test_names_of_files_that_steps_give_are_no_id_by_chance() -> None:
    """`001_CT_1b680b48_01` has `1CT1`; one name in forty was like that."""
    patient = named("CompressedSamples^CT1", identifiers=[(What.ID, "1CT1")])
    assert says(patient, "001_CT_1b680b48_01.nii.gz") == {What.ID}
    for number in range(400):
        name = by_series(1, "CT", f"1.2.826.{number}", 1)
        assert says(patient, f"{name}.nii.gz") == set(), name
