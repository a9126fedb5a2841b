"""Certificates of one node process, one after the other: each has the hash of the one before, the head is sealed.

What is taken out of the middle leaves a number without a certificate, and one whose `previous` fits nothing. What is
taken off the end leaves a head that names a certificate that is not there. Who also puts back an older head with its
seal is found by the first exported certificate that came after it. A register of all chains shows one that was taken
away as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from node.certificate.document import Broken, check, fingerprint
from node.certificate.keys import Keys

FIRST = "0" * 64
"""What the first certificate of a chain has for the hash of the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last certificate of a chain, as the database names it."""

    chain: str
    number: int
    sha256: str
    seal: str

    def is_sealed(self, keys: Keys) -> bool:
        return keys.sealed(_says(self.chain, self.number, self.sha256), self.seal)


def head(keys: Keys, chain: str, number: int, sha256: str) -> Head:
    return Head(chain=chain, number=number, sha256=sha256, seal=keys.seal(_says(chain, number, sha256)))


def register(keys: Keys, chains: Iterable[str]) -> str:
    """What seals which chains there are."""
    return keys.seal(_registered(chains))


def is_registered(keys: Keys, chains: Iterable[str], seal: str) -> bool:
    """Whether a seal is that of these chains and no others."""
    return keys.sealed(_registered(chains), seal)


def _registered(chains: Iterable[str]) -> bytes:
    return " ".join(["chains", *sorted(chains)]).encode()


@dataclass(frozen=True, slots=True)
class Flaw:
    """What breaks a chain, and where."""

    chain: str
    number: int
    """0: the chain as a whole, or its head."""
    what: str

    def __str__(self) -> str:
        place = f"certificate {self.number} of chain {self.chain}" if self.number else f"chain {self.chain}"
        return f"{place}: {self.what}"


def flaws(keys: Keys, of: str, certificates: Iterable[tuple[int, bytes]], end: Head | None) -> Iterator[Flaw]:
    """What is wrong with a chain. `certificates`: number and file, in order of number; read once, as they come."""
    expected, previous = 1, FIRST
    for number, data in certificates:
        if number > expected:
            yield _missing(of, expected, number - 1)
            previous = ""
        flaw = _of_one(keys, of, number, data, previous)
        if flaw is not None:
            yield flaw
        # What follows a flaw is not held against it: it would be called wrong for what is wrong with another.
        expected, previous = number + 1, "" if flaw is not None else fingerprint(data)
    yield from _of_the_end(keys, of, expected - 1, previous, end)


def _missing(of: str, first: int, last: int) -> Flaw:
    return Flaw(of, first, "it is missing" if first == last else f"it is missing, and all up to number {last}")


def _of_one(keys: Keys, of: str, number: int, data: bytes, previous: str) -> Flaw | None:
    """`previous`: the hash of the one before it, "" where that is not known."""
    try:
        issue = check(keys, data)["issue"]
    except Broken as broken:
        return Flaw(of, number, str(broken))
    if (issue["chain"], issue["number"]) != (of, number):
        return Flaw(of, number, f"another stands in its place: number {issue['number']} of chain {issue['chain']}")
    if previous and issue["previous"] != previous:
        return Flaw(of, number, "the certificate before it is not the one that it names")
    return None


def _of_the_end(keys: Keys, of: str, last: int, sha256: str, end: Head | None) -> Iterator[Flaw]:
    """`sha256`: of the last one, "" where that is not known."""
    if end is None:
        yield Flaw(of, 0, "the database has no head of it")
    elif not end.is_sealed(keys):
        yield Flaw(of, 0, "its head in the database was changed, or is sealed under another secret")
    elif last < end.number:
        yield _missing(of, last + 1, end.number)
    elif last > end.number or (sha256 and sha256 != end.sha256):
        yield Flaw(of, last, f"the head of its chain in the database names another one, number {end.number}")


def _says(chain: str, number: int, sha256: str) -> bytes:
    return f"head {chain} {number} {sha256}".encode()
