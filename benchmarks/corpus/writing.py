"""How people write names and days into text: in another order, case or alphabet, and in every usual form of a date."""

from __future__ import annotations

from datetime import date

from benchmarks.corpus.people import Person, romanized

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


def names(person: Person) -> tuple[str, ...]:
    """A person's name as it is typed: every form holds a part that identifies (`Person.parts`) in some case."""
    family, given = person.name.partition("=")[0].split("^")
    return (
        person.plain,
        f"{family.upper()}, {given}",
        f"{given} {family}",
        romanized(person.plain).lower(),
        person.burned,
        f"{given[:1]}. {family}, {given.upper()}",
    )


def days(day: date) -> tuple[str, ...]:
    """A day as it is typed, four digits of the year in each; English names of months whatever the machine speaks."""
    month = _MONTHS[day.month - 1]
    return (
        f"{day:%d.%m.%Y}",
        f"{day.isoformat()}",
        f"{day.day} {month} {day.year}",
        f"{day:%d}-{month[:3].upper()}-{day.year}",
        f"{day:%m/%d/%Y}",
        f"{day:%Y/%m/%d}",
        f"{month} {day.day}, {day.year}",
        f"{day:%Y%m%d}",
    )
