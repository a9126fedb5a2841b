"""Data sets by a seed, encoded by hand: what devices write, right and wrong, around one invented patient."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from random import Random

from pydicom._dicom_dict import DicomDictionary

from node.dicom import deid_content, deid_table
from node.dicom.attributes import VR_BY_TAG
from node.dicom.byte_order import swapped
from node.dicom.encoding import EXPLICIT_LE
from node.steps.anonymize.content import CONCEPT_NAME, CONTENT, VALUE_TYPE, VALUES
from tests import make
from tests.dicom.datasets import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, ITEM, ITEM_END, SEQUENCE_END

PATIENTS = [("Zyxwvut^Abcdefg", "ID-77 11"), ("Padded^Head", "19770707"), ("Müster", "T1 ax")]
STUDY, SERIES, INSTANCE = "1.2.3.4", "1.2.3.4.5", "1.2.3.4.5.6"
_BY_CHARACTER_SET = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
_LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
_BYTES = {"US": 2, "SS": 2, "OW": 2, "UL": 4, "SL": 4, "FL": 4, "AT": 4, "OL": 4, "OF": 4, "FD": 8, "SV": 8, "UV": 8,
          "OD": 8, "OV": 8, "OB": 2, "UN": 2}  # fmt: skip
_NOT_HERE = frozenset({0x0040A730, 0x00420011, 0x00480010, 0x00280301, 0x00041220})
"""For these an instance is held before the engine comes to it."""
_AMBIGUOUS = frozenset(tag for tag, entry in DicomDictionary.items() if " or " in entry[0])
"""Where another attribute says which VR they have (PS3.3), pydicom writes none of those it does not find."""

_ROWS = [tag for tag in deid_table.rows() if tag >> 16 > 7 and tag not in _NOT_HERE | _AMBIGUOUS]
_OF_ANY_IMAGE = [tag for tag in VR_BY_TAG.keys() - _NOT_HERE - _AMBIGUOUS if tag >> 16 in (8, 0x10, 0x18, 0x20, 0x28)]
_CODES = [0x00080100, 0x00080102, 0x00080104, 0x00081032, 0x00082218, 0x0040A043]
_ODD_ONES = [0x00080000, 0x00200000, 0x0018FFF1, 0x60000022, 0x60003000, 0x50003000, 0x00041130]
_NESTING = [0x00081110, 0x00081140, 0x00082112, 0x00082218, 0x00400275, 0x00081032, 0x52009229, 0x00189346,
            0x0040A078, 0x0040A170, 0x00700001]  # fmt: skip
_TEXTS = [0x00081030, 0x0008103E, 0x00104000, 0x00181030, 0x00204000, 0x00321060, 0x00400007, 0x00400254, 0x00700006,
          0x00700080, 0x00700084, 0x00401001, 0x00400009, 0x00200010]  # fmt: skip
_TAGS = [_ROWS, _OF_ANY_IMAGE, _CODES, _ODD_ONES, _TEXTS, _NESTING, _NESTING]
_IDENTITY = [0x00080005, 0x00100010, 0x00100020, 0x00100021]
_CREATORS = ["SIEMENS MR HEADER", "GEMS_PARM_01", "GEMS_ACQU_01", "SOMEBODY", ""]
_PRIVATE = [0x0019100C, 0x0019110C, 0x00191015, 0x00431001, 0x0043102A, 0x00431027, 0x0019109E, 0x00191001, 0x0009100B]
_PRIVATE_VALUES = ([b"11", b"11", b"of Abcdefg", b"T1 axial", b""], [b"1.2.3.4 ", b"2.25.7"])
_WORDS = ["", "HEAD", "zyxwvut", "of Abcdefg", "ID-77 11", "PRIMARY\\HEAD", "AXIAL\\ABCDEFG", "T1 ax", "1.5",
          "19770707", "Zyxwvut^Abcdefg", " padded ", "Müster", "1.5\\abcdefg", "x" * 1200, "CT chest for Abcdefg",
          "HELIX axial 5.0mm, Dr. Smith", "ID7711", "seen 2020-01-02", "Chest\\Ward 7\\Abcdefg", "a" * 17,
          "T1 tra " * 100]  # fmt: skip
_TIMES = {
    "AS": ["093Y", "045Y", "012M", "999D", "045Y\\093Y", "093Y ", "45", ""],
    "DA": ["20200102", "2020.01.02", "20200102\\20200229", "20209999", "", "2020", "Abcdefg "],
    "DT": ["20200102101112.123456+0100", "2020", "202001", "20200102", "x", "20200102\\2021"],
    "TM": ["101112.5", "10", "10:11:12", "", "zyxwvut"],
}
_CONCEPTS = [concept for concept in deid_content.rows() if concept[2] in VALUES] + [
    ("99LOCAL", "1", kind) for kind in VALUES
]
_OTHER_CONCEPTS = [concept for concept in deid_content.rows() if concept[2] not in VALUES]
_UIDS = ["", STUDY, SERIES, INSTANCE, make.MR_IMAGE, "2.25.7", f"{STUDY}\\2.25.7", "1.2.3.9 "]
_NUMBERS = {"DS": ["", "1.5", "-1\\2e-3", " 7 ", "1,5"], "IS": ["", "1", "19770707", "-4\\5"]}
_SCHEMES = ["SCT", "DCM ", "99LOCAL", ""]
_CHARACTER_SETS = [b"ISO_IR 192", b"ISO_IR 100", b"", b"\\ISO 2022 IR 87"]


def head(tag: int, vr: str, length: int, *, explicit: bool) -> bytes:
    if not explicit:
        return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)
    if vr in _LONG:
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length)


def element(tag: int, vr: str, value: bytes, *, explicit: bool) -> bytes:
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "UN") else b" "
    return head(tag, vr, len(value), explicit=explicit) + value


def sequence(tag: int, contents: list[bytes], *, explicit: bool, defined: tuple[bool, bool], vr: str = "SQ") -> bytes:
    """defined    whether the sequence, and whether its items have a length"""
    body = b""
    for content in contents:
        body += ITEM + (struct.pack("<I", len(content)) + content if defined[1] else b"\xff" * 4 + content + ITEM_END)
    if defined[0]:
        return head(tag, vr, len(body), explicit=explicit) + body
    return head(tag, vr, 0xFFFFFFFF, explicit=explicit) + body + SEQUENCE_END


def file(path: Path, data: bytes, *, explicit: bool, syntax: str = "") -> Path:
    """A whole file of a data set that is given in little endian.

    syntax    another transfer syntax that is explicit, for which the data set is converted
    """
    syntax = syntax or (EXPLICIT if explicit else IMPLICIT)
    uid = element(0x00020010, "UI", syntax.encode(), explicit=True)
    meta = element(0x00020000, "UL", struct.pack("<I", len(uid)), explicit=True) + uid
    if syntax == BIG_ENDIAN:
        data = swapped(data, EXPLICIT_LE)
    if syntax == DEFLATED:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = deflate.compress(data) + deflate.flush()
    path.write_bytes(b"Zyxwvut^Abcdefg ".ljust(128, b"\0") + b"DICM" + meta + data)
    return path


class Generator:
    """Data sets by a seed: hypothesis draws the seed, because to draw every value from it takes ten times as long."""

    def __init__(
        self, seed: int, *, explicit: bool, unknown: bool = False, disordered: bool = False, content: bool = False
    ) -> None:
        """
        content       there are content items, as in a structured report
        unknown       some sequences are written as UN
        disordered    elements come in any order, and some twice
        """
        self._random = Random(seed)
        self._explicit, self._unknown, self._disordered, self._content = explicit, unknown, disordered, content

    def data_set(self) -> bytes:
        """One that has an identity, in little endian."""
        instance, study = self._random.choice([INSTANCE, "1.2.3.9"]), self._random.choice([STUDY, STUDY, "1.2.3.8"])
        own = {0x00080016: make.MR_IMAGE, 0x00080018: instance, 0x0020000D: study, 0x0020000E: SERIES}
        base = {tag: element(tag, "UI", uid.encode(), explicit=self._explicit) for tag, uid in own.items()}
        base[0x00080060] = element(0x00080060, "CS", b"MR", explicit=self._explicit)
        if self._one_of(2):
            name, identifier = self._random.choice(PATIENTS)
            base[0x00100010] = element(0x00100010, "PN", name.encode(), explicit=self._explicit)
            base[0x00100020] = element(0x00100020, "LO", identifier.encode(), explicit=self._explicit)
        return self._level(3, self._explicit, base)

    def _one_of(self, many: int) -> bool:
        return self._random.randrange(many) == 0

    def _level(self, depth: int, explicit: bool, base: Mapping[int, bytes] = {}) -> bytes:
        """The elements of a data set or item, up to `depth` sequences deep."""
        choice = self._random.choice
        tags = [choice(choice(_TAGS)) for _ in range(self._random.randrange(10))]
        tags += [choice(_IDENTITY) for _ in range(self._random.randrange(3))]
        found = {tag: self._element(tag, depth, explicit) for tag in tags}
        found |= self._private(explicit)
        if self._content and not self._one_of(3):
            found[CONTENT] = self._items(depth, explicit)
        found |= base
        order = sorted(found)
        parts = [found[tag] for tag in order]
        if self._disordered and parts:
            parts += [self._element(tag, 0, explicit) for tag in order if tag not in base and self._one_of(4)]
            first, *others = parts  # by the first, readers tell how a data set is laid out
            self._random.shuffle(others)
            parts = [first, *others]
        return b"".join(parts)

    def _items(self, depth: int, explicit: bool) -> bytes:
        """A Content Sequence: items with a concept name, a value type and its value, and content of their own."""
        contents = []
        for _ in range(self._random.randrange(4) if depth else 0):
            scheme, code, kind = self._random.choice(_OTHER_CONCEPTS if self._one_of(6) else _CONCEPTS)
            name = element(0x00080100, "SH", code.encode(), explicit=explicit)
            name += element(0x00080102, "SH", scheme.encode(), explicit=explicit)
            name += element(0x00080104, "LO", self._random.choice(_WORDS).encode()[:60], explicit=explicit)
            base = {
                VALUE_TYPE: element(VALUE_TYPE, "CS", kind.encode(), explicit=explicit),
                CONCEPT_NAME: sequence(CONCEPT_NAME, [name], explicit=explicit, defined=(self._one_of(2), True)),
            }
            if kind in VALUES:
                base[VALUES[kind]] = self._element(VALUES[kind], 0, explicit)
            if self._one_of(20):
                base[0x0040DB73] = element(0x0040DB73, "UL", struct.pack("<2I", 1, 2), explicit=explicit)
            contents.append(self._level(depth - 1, explicit, base))
        return sequence(CONTENT, contents, explicit=explicit, defined=(self._one_of(2), self._one_of(2)))

    def _element(self, tag: int, depth: int, explicit: bool) -> bytes:
        vr = VR_BY_TAG.get(tag, "LO")
        if vr == "SQ":
            return self._sequence(tag, depth, explicit)
        if tag == 0x00080005:
            return element(tag, vr, self._random.choice(_CHARACTER_SETS), explicit=explicit)
        written = self._random.choice(["LT", "UN", "OB", "CS", "DS"]) if explicit and self._one_of(25) else vr
        return element(tag, written, self._value(tag, vr), explicit=explicit)

    def _sequence(self, tag: int, depth: int, explicit: bool) -> bytes:
        many = self._random.randrange(3) if depth else 0
        defined = self._one_of(2), self._one_of(2)
        if self._unknown and explicit and self._one_of(2):
            contents = [self._level(depth - 1, False) for _ in range(many)]
            return sequence(tag, contents, explicit=True, defined=defined, vr="UN")
        contents = [self._level(depth - 1, explicit) for _ in range(many)]
        return sequence(tag, contents, explicit=explicit, defined=defined)

    def _value(self, tag: int, vr: str) -> bytes:
        if vr in ("FL", "FD"):  # no NaN, which equals nothing
            return struct.pack("<f" if vr == "FL" else "<d", self._random.randrange(100)) * self._random.randrange(3)
        if vr in _BYTES:
            return self._random.randbytes(_BYTES[vr] * self._random.randrange(3))
        if vr == "UI":
            return self._random.choice(_UIDS).encode()
        if vr in _TIMES and not self._one_of(8):
            return self._random.choice(_TIMES[vr]).encode()
        if vr in _NUMBERS and not self._one_of(40):  # what is none holds the whole instance
            return self._random.choice(_NUMBERS[vr]).encode()
        value = self._random.choice(_SCHEMES if tag == 0x00080102 else _WORDS)
        return value.encode("utf-8" if vr in _BY_CHARACTER_SET else "ascii", "ignore")

    def _private(self, explicit: bool) -> dict[int, bytes]:
        found = {}
        for _ in range(self._random.randrange(3)):
            tag, vr = self._random.choice(_PRIVATE), self._random.choice(["LO", "IS", "UI", "UN", "OB"])
            creator = tag & 0xFFFF0000 | tag >> 8 & 0xFF
            found[creator] = element(creator, "LO", self._random.choice(_CREATORS).encode(), explicit=explicit)
            found[tag] = element(tag, vr, self._random.choice(_PRIVATE_VALUES[vr == "UI"]), explicit=explicit)
        return found
