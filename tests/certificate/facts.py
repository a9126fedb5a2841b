"""Certificates of invented work, for tests."""

from __future__ import annotations

from node.certificate import chain
from node.certificate.account import Accounts, add_up
from node.certificate.actions import Done
from node.certificate.document import Issue, fingerprint, seal
from node.certificate.keys import Keys
from node.certificate.statement import NOT_READ, Output, Performed, Reading, Subject, state

KEYS = Keys(b"the secret of the certificates here")
OTHER = Keys(b"another secret of thirty-two bytes!")
METHOD = {"options": [], "profile": "basic", "recipe": "", "table": "PS3.15 2026d Table E.1-1"}

NAME, DATE, COMMENT, PIXELS = (0x00100010,), (0x00400275, 0x00400002), (0x00104000,), (0x7FE00010,)


def account(name: bytes = b"Smithson^Robert ", method: dict[str, object] = METHOD) -> str:
    recording = Accounts(KEYS.value()).begin()
    recording.did(NAME, Done.REPLACED, name, b"0123456789abcdef")
    recording.did(DATE, Done.REMOVED, b"20260102", None)
    recording.did(PIXELS, Done.KEPT, b"\0\1", b"\0\1")
    return recording.account(method)


def statement(
    *accounts: str, route: str = "smithson-study", received: int = 2, reading: Reading = NOT_READ
) -> dict[str, object]:
    return both(*accounts, route=route, received=received, reading=reading)[0]


def both(
    *accounts: str, route: str = "smithson-study", received: int = 2, reading: Reading = NOT_READ
) -> tuple[dict[str, object], dict[str, object]]:
    """(statement, inner part) of one series of one or two instances."""
    subject = Subject(
        kind="series", uid="1.2.777.1", generation=1, route=route, rules="ab" * 32, received=received, held=0, dropped=0
    )
    outputs = [
        Output(kind="dicom", sha256=f"{n}" * 64, size=1000 + n, instance=f"2.25.{n}", received=(f"1.2.777.{n}",))
        for n in (2, 1)
    ]
    outputs.append(Output(kind="nifti", sha256="3" * 64, size=30, received=("1.2.777.1", "1.2.777.2")))
    steps = [Performed(name="anonymize", totals=add_up(accounts or [account(), account()])), Performed(name="nifti")]
    return state(KEYS, subject, steps, outputs, reading, {"dicom-node": "0.1.0"})


def certificate(
    number: int = 1, previous: str = chain.FIRST, at: float = 1_770_000_000.0, name: str = "c" * 24
) -> bytes:
    return seal(KEYS, statement(received=number + 1), Issue(at=at, chain=name, number=number, previous=previous))


def certificates(count: int) -> list[tuple[int, bytes]]:
    """A chain, as the database has it."""
    found: list[tuple[int, bytes]] = []
    for number in range(1, count + 1):
        previous = fingerprint(found[-1][1]) if found else chain.FIRST
        found.append((number, certificate(number, previous)))
    return found
