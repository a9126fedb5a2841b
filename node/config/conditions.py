"""The left side of a route, `when:`, compiled: does a unit satisfy it, and why?

A condition sees the members of a unit: the header of every instance and who sent it. It holds when any
instance satisfies it; keys beside each other speak of one and the same instance. `not:` holds when no
instance satisfies what is in it, `every:` when each instance does alone.

Three answers, not two. A header keeps values up to 64 bytes; of a longer one it only says that it is there. A rule
about such a value is neither true nor false, and `not:` must not turn "I cannot see it" into "it is not so".
So truth is True, False or None (cannot tell), combined by Kleene's logic: None stays unless the rest
decides. A route whose condition is None is not taken, and `node.match` says so: a person decides then.

What one instance is asked stands in clauses.py, and what a reason may show in elements.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from node.model import Header, Origin

Truth = bool | None
Members = Sequence[tuple[Header, Origin]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Whether a condition holds for a unit, and the lines that say why."""

    truth: Truth
    because: tuple[str, ...]


class Condition(Protocol):
    """One condition on a unit. `str()` is stable text: equal rules, equal text."""

    def holds(self, members: Members) -> Finding:
        """Judge the unit as a whole."""
        ...

    def column(self, members: Members) -> list[Truth]:
        """Judge each instance as if it were the whole unit, in the order of `members`."""
        ...


class Clause(Condition, Protocol):
    """A condition that one instance satisfies or not, whatever the others are."""

    @property
    def about(self) -> str:
        """What it looks at, for a reason."""
        ...


def any_of(truths: Iterable[Truth]) -> Truth:
    """Kleene's or."""
    unknown = False
    for truth in truths:
        if truth:
            return True
        unknown = unknown or truth is None
    return None if unknown else False


def all_of(truths: Iterable[Truth]) -> Truth:
    """Kleene's and."""
    unknown = False
    for truth in truths:
        if truth is False:
            return False
        unknown = unknown or truth is None
    return None if unknown else True


def negated(truth: Truth) -> Truth:
    return None if truth is None else not truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Clauses that one and the same instance must satisfy: the keys beside each other in `when:`."""

    clauses: tuple[Clause, ...]

    def column(self, members: Members) -> list[Truth]:
        columns = [clause.column(members) for clause in self.clauses]
        return [all_of(row) for row in zip(*columns, strict=True)]

    def holds(self, members: Members) -> Finding:
        truth = any_of(self.column(members))
        found = [clause.holds(members) for clause in self.clauses]
        if truth:
            return Finding(truth=True, because=tuple(line for f in found for line in f.because))
        failed = tuple(line for f in found if not f.truth for line in f.because)
        names = ", ".join(clause.about for clause in self.clauses)
        return Finding(truth=truth, because=failed or (f"no single instance satisfies all of {names}",))

    def __str__(self) -> str:
        return "{" + "; ".join(map(str, self.clauses)) + "}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Condition, ...]

    def column(self, members: Members) -> list[Truth]:
        return [any_of(row) for row in zip(*(part.column(members) for part in self.parts), strict=True)]

    def holds(self, members: Members) -> Finding:
        found = [part.holds(members) for part in self.parts]
        truth = any_of(f.truth for f in found)
        return Finding(truth=truth, because=tuple(line for f in found if f.truth is truth for line in f.because))

    def __str__(self) -> str:
        return f"any[{', '.join(map(str, self.parts))}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    """All parts hold, each by whichever instance."""

    parts: tuple[Condition, ...]

    def column(self, members: Members) -> list[Truth]:
        return [all_of(row) for row in zip(*(part.column(members) for part in self.parts), strict=True)]

    def holds(self, members: Members) -> Finding:
        found = [part.holds(members) for part in self.parts]
        truth = all_of(f.truth for f in found)
        return Finding(truth=truth, because=tuple(line for f in found if f.truth is truth for line in f.because))

    def __str__(self) -> str:
        return f"all[{', '.join(map(str, self.parts))}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """No instance satisfies it."""

    part: Condition

    def column(self, members: Members) -> list[Truth]:
        return [negated(truth) for truth in self.part.column(members)]

    def holds(self, members: Members) -> Finding:
        found = self.part.holds(members)
        return Finding(truth=negated(found.truth), because=tuple(f"not: {line}" for line in found.because))

    def __str__(self) -> str:
        return f"not {self.part}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """Each instance satisfies it alone."""

    part: Condition

    def column(self, members: Members) -> list[Truth]:
        return self.part.column(members)

    def holds(self, members: Members) -> Finding:
        truths = self.column(members)
        count = f"every: {truths.count(True)} of {len(truths)} instances satisfy it"
        truth = all_of(truths) if truths else False
        return Finding(truth=truth, because=(count, *(f"every: {line}" for line in self.part.holds(members).because)))

    def __str__(self) -> str:
        return f"every {self.part}"


@dataclass(frozen=True, slots=True)
class Always:
    """`when: always`."""

    def column(self, members: Members) -> list[Truth]:
        return [True] * len(members)

    def holds(self, members: Members) -> Finding:
        return Finding(truth=True, because=("takes everything",))

    def __str__(self) -> str:
        return "always"


@dataclass(frozen=True, slots=True)
class Otherwise:
    """`when: otherwise`. `node.match` decides it, as only it knows what the other routes took."""

    def column(self, members: Members) -> list[Truth]:
        return [None] * len(members)

    def holds(self, members: Members) -> Finding:
        return Finding(truth=None, because=("takes what no other route took",))

    def __str__(self) -> str:
        return "otherwise"
