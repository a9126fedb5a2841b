"""Keyed replacements: the same secret gives the same pseudonym, and without it nothing leads back.

PS3.15 E.1.1 warns that a plain hash of an identifier falls to a dictionary; HMAC-SHA256 (RFC 2104) under a
secret does not. Nothing is stored: the mapping is a function.
"""

from __future__ import annotations

from hashlib import sha256

from node.certificate.keys import BLOCK, keyed
from node.dicom.text import folded
from node.dicom.uids import is_registered

LEAST_SECRET = 32
"""Bytes. Shorter than the hash, a secret could be found by trying."""

LEAST_DAYS, MOST_DAYS = 366, 4017
"""Of a patient's shift: more than a year, and ten years of amounts to choose from."""


class Pseudonyms:
    """The replacements under one secret. Values, not state: two instances with one secret agree for ever."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) < LEAST_SECRET:
            raise ValueError(f"the secret has {len(secret)} bytes; at least {LEAST_SECRET} are needed")
        self._keyed = keyed(secret if len(secret) <= BLOCK else sha256(secret).digest())  # RFC 2104
        self._uids: dict[str, str] = {}

    def uid(self, uid: str) -> str:
        """A UID of 2.25.<UUID version 8> (PS3.5 B.2, RFC 9562 5.8); one that the
        standard itself has, the same for every patient, and "" stay as they are."""
        if not uid or is_registered(uid):
            return uid
        known = self._uids.get(uid)
        if known is None:
            bits = bytearray(self._digest(b"uid:" + uid.encode())[:16])
            bits[6] = bits[6] & 0x0F | 0x80
            bits[8] = bits[8] & 0x3F | 0x80
            known = self._uids[uid] = f"2.25.{int.from_bytes(bits)}"
        return known

    def patient(self, issuer: str, patient_id: str) -> str:
        """16 hexadecimal digits for a patient: case and padding of the identifier make no difference."""
        return self._of_patient(b"patient", issuer, patient_id).hex()[:16]

    def patient_of_study(self, study: str) -> str:
        """The same for an instance without Patient ID: a patient for each study, because more is not known."""
        return self._digest(b"study:" + study.encode()).hex()[:16]

    def days(self, issuer: str, patient_id: str) -> int:
        """By how many days a patient's dates move (PS3.15 E.3.6): 366 to 4017 back, so that not even a year stays.

        Whole days: date and time stand in two attributes, and by seconds they could not move as one. Backwards: a
        date in the future is refused by some readers.
        """
        return _back(self._of_patient(b"days", issuer, patient_id))

    def days_of_study(self, study: str) -> int:
        """The same for an instance without Patient ID."""
        return _back(self._digest(b"days of study:" + study.encode()))

    def value(self, value: str) -> str:
        """16 hexadecimal digits, in capitals as CS asks, for a text: the same in whatever attribute it stands."""
        return self._digest(b"value:" + folded(value).encode()).hex()[:16].upper()

    def _of_patient(self, use: bytes, issuer: str, patient_id: str) -> bytes:
        issuer, patient_id = folded(issuer), folded(patient_id)
        if "|" in issuer:  # else ("A|B", "C") and ("A", "B|C") would be one patient
            use += b" of an issuer of %d" % len(issuer)
        return self._digest(use + b":" + f"{issuer}|{patient_id}".encode())

    def _digest(self, message: bytes) -> bytes:
        return self._keyed(message)


def _back(digest: bytes) -> int:
    return -(LEAST_DAYS + int.from_bytes(digest[:8], "big") % (MOST_DAYS - LEAST_DAYS + 1))
