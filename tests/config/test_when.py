from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from node.config.reader import read
from node.config.when import compile_when


def faults(when: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        compile_when(when)
    return [(".".join(map(str, e["loc"])), e["msg"]) for e in caught.value.errors()]


@pytest.mark.parametrize(
    ("when", "place", "said"),
    [
        ("Modalty: CT", "Modalty", 'Did you mean "Modality"?'),
        ("caling_ae: X", "caling_ae", 'Did you mean "calling_ae"?'),
        ("Modality: {regx: x}", "Modality.regx", 'Did you mean "regex"?'),
        ("Modality: {}", "Modality", "must be a value"),
        ("Modality: []", "Modality", "never fits"),
        ("Modality: null", "Modality", "{exists: false}"),
        ("Modality: true", "Modality", "quotes"),
        ("SoftwareVersions: 1.10", "SoftwareVersions", "quotes"),
        ("Modality: [CT, [PT]]", "Modality.1", "single value"),
        ("Modality: {gt: 1}", "Modality.gt", "has no order"),
        ("SeriesNumber: x", "SeriesNumber", "is a number"),
        ("SeriesNumber: {gt: x}", "SeriesNumber.gt", "is a number"),
        ("StudyDate: {gt: yesterday}", "StudyDate.gt", "such as 2024-01-31"),
        ("StudyDate: 2024-13-01", "StudyDate", "such as 2024-01-31"),
        ("PatientAge: {gt: 18}", "PatientAge.gt", "age"),
        ("SOPClassUID: CTImageStorge", "SOPClassUID", 'Did you mean "CTImageStorage"?'),
        ("StudyDescription: {regex: '('}", "StudyDescription.regex", "not a regular expression"),
        ("StudyDescription: {regex: '(a+)+$'}", "StudyDescription.regex", "may never end"),
        ("StudyDescription: {exists: maybe}", "StudyDescription.exists", "true or false"),
        ("StudyDescription: {not: {not: x}}", "StudyDescription.not", "not inside a not"),
        ("RequestAttributesSequence: x", "RequestAttributesSequence", "is a sequence"),
        ("RequestAttributesSequence: {regex: x}", "RequestAttributesSequence", "name an element in it"),
        ("RequestAttributesSequence: {not: x}", "RequestAttributesSequence", "{exists: true}"),
        ("PixelData: x", "PixelData", "ask {exists: true}, or for what describes them"),
        ("PixelData: {regex: x}", "PixelData", "which the index does not keep"),
        ("PixelData: {gt: 3}", "PixelData", "which the index does not keep"),
        ("PixelData: {not: x}", "PixelData", "which the index does not keep"),
        ("PixelData: {exists: true, regex: x}", "PixelData", "which the index does not keep"),
        ("FloatPixelData: 1.5", "FloatPixelData", "which the index does not keep"),
        ("'(7FE0,0010)': x", "(7FE0,0010)", "which the index does not keep"),
        ("not: {PixelData: x}", "not.PixelData", "which the index does not keep"),
        ("every: {ICCProfile: x}", "every.ICCProfile", "which the index does not keep"),
        ("IconImageSequence.PixelData: x", "IconImageSequence.PixelData", "which the index does not keep"),
        ("PixelData.Rows: 3", "PixelData.Rows", "PixelData: {exists: true}"),
        ("EncapsulatedDocument: '%PDF*'", "EncapsulatedDocument", "SOPClassUID"),
        ("TransferSyntaxUID: 1.2.840.10008.1.2", "TransferSyntaxUID", "no part of the data set"),
        ("MediaStorageSOPClassUID: CTImageStorage", "MediaStorageSOPClassUID", "write SOPClassUID"),
        ("SourceApplicationEntityTitle: CT1", "SourceApplicationEntityTitle", "write calling_ae"),
        ("'(0000,0100)': 1", "(0000,0100)", "no part of the data set"),
        ("'(0008,0000)': 4", "(0008,0000)", "the length of a group"),
        ("DataSetTrailingPadding: {exists: false}", "DataSetTrailingPadding", "behind the pixel data"),
        ("DigitalSignaturesSequence: {exists: true}", "DigitalSignaturesSequence", "behind the pixel data"),
        ("Modality.StudyDescription: x", "Modality.StudyDescription", "only a sequence"),
        ("sender: ct1", "sender", "not an address"),
        ("called_ae: {gt: 3}", "called_ae.gt", "has no order"),
        ("{(0008,0060): CT}", "(0008", "quotes"),
        ("'(0018,\"X\",01)': 1", '(0018,"X",01)', "private group is odd"),
        ("any: CT", "any", "list of conditions"),
        ("{any: [Modality]}", "any.0", "must be a mapping"),
        ("not: {}", "not", "must be a mapping"),
        ("sometimes", "", "or always, or otherwise"),
        ("[]", "", "must be a mapping"),
    ],
)
def test_a_mistake_is_found_at_its_place_with_what_to_write(when: str, place: str, said: str) -> None:
    found = faults(read(when).data)
    assert found[0][0] == place
    assert said in found[0][1]


@pytest.mark.parametrize(
    "when",
    [
        "PixelData: {exists: true}",
        "PixelData: {not: {exists: true}}",
        "not: {PixelData: {exists: true}}",
        "RequestAttributesSequence: {exists: false}",
        "IconImageSequence.PixelData: {exists: true}",
        "'(0019,\"GEMS_ACQU_01\",0c)': x",
        "SmallestImagePixelValue: 0",
    ],
)
def test_what_the_index_can_tell_may_be_asked(when: str) -> None:
    compile_when(read(when).data)


def test_all_mistakes_are_found_at_once() -> None:
    when = {"Modalty": "CT", "any": [{"StudyDte": 1}, {"SeriesNumber": "x"}], "not": {"Rowz": 3}}
    assert [place for place, _ in faults(when)] == ["Modalty", "any.0.StudyDte", "any.1.SeriesNumber", "not.Rowz"]


_any_yaml = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Modality",
                    "SeriesNumber",
                    "StudyDate",
                    "not",
                    "any",
                    "gt",
                    "regex",
                    "exists",
                    "sender",
                    "(0019,x)",
                    "every",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(_any_yaml)
def test_whatever_stands_there_is_compiled_or_refused(written: Any) -> None:
    with contextlib.suppress(ValidationError):
        compile_when(written).holds([])
