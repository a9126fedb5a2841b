"""The values in a data set that its texts are cleaned of: names, numbers and places, at every depth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from node.dicom.attributes import VR_BY_TAG
from node.steps.anonymize import text
from node.steps.anonymize.known import ROLES
from node.steps.anonymize.walk import CHARACTER_SET, check_complete, element_of


def identifying(ds: Dataset, encodings: Sequence[str]) -> Iterator[tuple[int, str]]:
    """(tag, text) of the attributes in ROLES. Raises UnreadableTextError where a character set is not kept to, and
    UndecidableError where a sequence is cut short."""
    if CHARACTER_SET in ds:
        encodings = text.declared(ds)
    for key in list(ds.keys()):
        tag, element = int(key), element_of(ds, key)
        if tag in ROLES:
            if isinstance(element, RawDataElement) and element.value:
                yield tag, text.decode(element.value, encodings)
        elif "SQ" in (VR_BY_TAG.get(tag), element.VR):
            check_complete(element)  # here, because what pydicom has read as a sequence does not tell any more
            found = ds[key]
            for item in found.value if found.VR == "SQ" else ():
                yield from identifying(item, encodings)
