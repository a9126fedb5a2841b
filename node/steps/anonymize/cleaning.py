"""Text without what identifies, its clinical and protocol words kept (PS3.15 E.3.4, E.3.5). Pure.

A word stays when the vocabulary has it, or when it is of three letters or less, as most abbreviations are; so a name
that nobody told us of goes too, and two short ones beside each other. What the data set itself names (its people, their
numbers, its places) goes whether it is a word or not. Numbers stay as far as they can be a parameter. Nothing is put in
place of what goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from node.steps.anonymize import coding, patterns
from node.steps.anonymize.ages import OLDEST
from node.steps.anonymize.eponyms import SURNAMES, eponyms_in
from node.steps.anonymize.known import Known
from node.steps.anonymize.vocabulary import MARKS, folded, plain

_RUN = re.compile(rf"[^\W_](?:[^\W_]|[{MARKS}])*")
_PIECE = re.compile(r"\d+|[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z\d])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_TITLED = re.compile(
    r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herr|Frau|Mme|Mlle|Sr|Sra|Dott|Sig|Dra)\b\.?\s+"
    r"(?:(?:Dr|Prof|med)\b\.?\s+)*([^\W\d_][\w'-]*(?:\s+[^\W\d_a-z][\w'-]*)?)"
)
_CUES_ARE = """
by for fur von per attn attention name patient pat pt ref referring dr mr mrs
"""
_CUES = frozenset(_CUES_ARE.split())
"""Words that a name often follows: after them a short word must be one of the vocabulary."""
_SHORT = 3
_LONGEST_NUMBER = 4
_REMEMBERED = 4096
_GONE = "\ue000"
"""Stands for a character that goes, until what is around it is in order."""
_BRACKETS = re.compile(rf"[(\[<{{][\s_.,;:/-]*{_GONE}[\s_.,;:/{_GONE}-]*[)\]>}}]")
_AROUND = re.compile(rf"[\s\-_.,;:/^=+{_GONE}]*{_GONE}[\s\-_.,;:/^=+{_GONE}]*")
_EDGES = " \t\r\n-_.,;:/^=+&#*'\""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaner:
    """What is taken out of the texts of one data set."""

    names: frozenset[str]
    """Words that name somebody or some place, folded."""
    phrases: re.Pattern[str] | None
    """Numbers and places as a whole, for folded text."""
    vocabulary: frozenset[str]
    people: re.Pattern[str] | None = None
    """Their names and long numbers, for folded text: what makes a text that nobody has to clean one that is cleaned."""
    keep_dates: bool = False
    keep_characteristics: bool = False
    """Leave ages up to `ages.OLDEST`, and the patient's sex."""
    cleaned: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    """What texts came to: the instances of a series have most of theirs in common."""

    def clean(self, text: str) -> str:
        """The text without what identifies; "" when no letter or digit is left.

        Its characters are those of `text`, in their order.
        """
        found = self.cleaned.get(text)
        if found is None:
            if len(self.cleaned) >= _REMEMBERED:
                self.cleaned.clear()
            found = self.cleaned[text] = self._cleaned(text)
        return found

    def is_about_somebody(self, text: str) -> bool:
        """Whether a text says a name, or a long number, of the data set's people, or has a form that no technical text
        has, such as an address."""
        low = folded(text)
        if self.people is not None and self.people.search(low) is not None:
            return True
        return is_plainly_personal(text, low)

    def names_in_a_code(self, text: str) -> bool:
        """Whether the meaning of a code says somebody or some number of the data set, and not only in words that codes
        have too: Hodgkin lymphoma is no Dr Hodgkin's."""
        if self.people is None:
            return False
        return any(found[0] not in self.vocabulary for found in self.people.finditer(folded(text)))

    def _cleaned(self, text: str) -> str:
        """What was taken out can bring together what then is taken for a number or a name: until nothing changes."""
        while (cleaned := self._once(text)) != text:
            text = cleaned
        return text if any(map(str.isalnum, text)) else ""

    def _once(self, text: str) -> str:
        low, at = _positions(text)
        gone = [False] * len(text)
        for start, end in (*self._by_form(low), *self._by_phrase(low)):
            gone[at[start] : at[end - 1] + 1] = [True] * (at[end - 1] + 1 - at[start])
        for match in _TITLED.finditer(text):
            gone[match.start() : match.end()] = [True] * (match.end() - match.start())
        for start, end in self._by_word(text, gone):
            gone[start:end] = [True] * (end - start)
        if not any(gone):
            return text
        return _tidy("".join(_GONE if out else character for character, out in zip(text, gone, strict=True)))

    def _by_form(self, low: str) -> Iterator[Span]:
        for match in patterns.CONTACTS.finditer(low):
            if patterns.is_contact(match[0]):
                yield match.span()
        forms = [patterns.UIDS, patterns.ADDRESSES, patterns.NUMBERED]
        forms += [] if self.keep_dates else [patterns.DATES]
        for form in forms:
            yield from (match.span() for match in form.finditer(low))
        for match in patterns.AGES.finditer(low):
            if not self.keep_characteristics or int(patterns.NUMBER.findall(match[0])[0]) > OLDEST:
                yield match.span()

    def _by_phrase(self, low: str) -> Iterator[Span]:
        if self.phrases is not None:
            yield from (match.span() for match in self.phrases.finditer(low) if match[0])

    def _by_word(self, text: str, gone: list[bool]) -> Iterator[Span]:
        measured = list(gone)  # what is decided on already: gone, or a decimal fraction, which stays whole
        for match in patterns.DECIMALS.finditer(text):
            measured[match.start() : match.end()] = [True] * (match.end() - match.start())
        runs = [match for match in _RUN.finditer(text) if not all(measured[match.start() : match.end()])]
        words = [folded(match[0]) for match in runs]
        short = [self._is_as_a_name(match[0], word) for match, word in zip(runs, words, strict=True)]
        eponyms = eponyms_in(text, runs, words)
        goes = [False] * len(runs)
        for here, (match, word) in enumerate(zip(runs, words, strict=True)):
            before = words[here - 1] if here else ""
            after = words[here + 1] if here + 1 < len(words) else ""
            beside = short[here] and any([*short[here - 1 : here], *short[here + 1 : here + 2]])
            of_a_term = here in eponyms and self._begins_a_term(before, here - 1 in eponyms) and word not in self.names
            goes[here] = not of_a_term and (beside or not self._stays(match[0], word, before, after))
        for here, match in enumerate(runs):
            if goes[here] or (words[here] in SURNAMES and _is_beside_a_name(text, runs, goes, here)):
                yield match.span()

    def _begins_a_term(self, before: str, in_one: bool) -> bool:
        """Whether a person's name cannot go on here: `Jane Wilson disease` is no disease."""
        return in_one or not before or before in self.vocabulary or before.isdecimal()

    def _is_as_a_name(self, run: str, word: str) -> bool:
        """Whether a short word that is in no vocabulary is written as names are, `Eva` and not `EVA` or `eva`."""
        return 1 < len(run) <= _SHORT and run.istitle() and run.isalpha() and word not in self.vocabulary

    def _stays(self, run: str, word: str, before: str, after: str) -> bool:
        if word in self.names:
            return coding.is_term(word) and not {before, after} & self.names
        if word in _SEXES:
            return self.keep_characteristics
        if word in self.vocabulary:
            return True
        if word.isdecimal():
            return self._number_stays(word, before)
        pieces = _PIECE.findall(word)
        if len(pieces) == 1:
            parts = [folded(part) for part in _CAMEL.split(run)]
            if len(parts) > 1:
                return all(self._stays(part, part, "", "") for part in parts)
            return len(word) <= _SHORT and before not in _CUES and word.isascii()
        return self._mixture_stays(word, pieces)

    def _number_stays(self, number: str, before: str) -> bool:
        if len(number) > _LONGEST_NUMBER:
            return self.keep_dates and patterns.DATES.fullmatch(number) is not None
        return self.keep_dates or before in patterns.PARAMETERS or not patterns.YEAR.fullmatch(number)

    def _mixture_stays(self, word: str, pieces: list[str]) -> bool:
        """Letters with digits: a parameter or a sequence's name, or the number of somebody or something."""
        if patterns.MEASURES.fullmatch(word):
            return True
        letters = [piece for piece in pieces if not piece.isdecimal()]
        longest = max((len(piece) for piece in pieces if piece.isdecimal()), default=0)
        if longest > _LONGEST_NUMBER or (longest == _LONGEST_NUMBER and not patterns.PARAMETERS.issuperset(letters)):
            return False
        if sum(map(len, pieces)) - sum(map(len, letters)) > _LONGEST_NUMBER:
            return False
        return all(self._stays(piece, piece, "", "") for piece in letters)


def _is_beside_a_name(text: str, runs: Sequence[re.Match[str]], goes: Sequence[bool], here: int) -> bool:
    """Whether a colour is a surname: `Jane Brown`, `Brown, Jane`, written alike, where Jane goes."""

    def joined(one: int, other: int, between: str) -> bool:
        first, second = runs[one], runs[other]
        alike = (first[0].istitle() and second[0].istitle()) or (first[0].isupper() and second[0].isupper())
        return alike and text[first.end() : second.start()] in (between, between + " ")

    if here and goes[here - 1] and len(runs[here - 1][0]) > _SHORT and joined(here - 1, here, " "):
        return True
    return here + 1 < len(runs) and goes[here + 1] and joined(here, here + 1, ",")


_SEXES_ARE = """
male female man woman men women boy girl mann frau homme femme weiblich mannlich
"""
_SEXES = frozenset(_SEXES_ARE.split())


@lru_cache(maxsize=64)
def cleaner_for(
    known: Known, vocabulary: frozenset[str], *, keep_dates: bool = False, keep_characteristics: bool = False
) -> Cleaner:
    """The cleaner for data sets in which `known` stands."""
    return Cleaner(
        names=known.words(vocabulary),
        phrases=known.phrases(keep_dates=keep_dates),
        people=known.people(),
        vocabulary=vocabulary,
        keep_dates=keep_dates,
        keep_characteristics=keep_characteristics,
    )


def clean_values(cleaner: Cleaner, vr: str, text: str) -> str:
    """The value of an attribute: where a backslash parts values (PS3.5 6.2), each for itself; "" when all are gone."""
    if vr in ("LT", "ST", "UT"):
        return cleaner.clean(text)
    values = [cleaner.clean(value) for value in text.split("\\")]
    return "\\".join(values) if any(values) else ""


def is_plainly_personal(text: str, low: str) -> bool:
    """Whether a text has a title before a name, an address, or a number that says that it is a person's.

    low   the text, folded
    """
    if _TITLED.search(text) or patterns.PLAINLY_OF_SOMEBODY.search(low):
        return True
    return patterns.ADDRESSES.search(low) is not None


def is_personal(text: str) -> bool:
    """Whether a text has what no term of a code has: a title before a name, a telephone number, an address, a date.

    Of the 18,495 code meanings of PS3.16 in pydicom none has.
    """
    low = folded(text)
    if is_plainly_personal(text, low) or any(form.search(low) for form in patterns.OF_SOMEBODY):
        return True
    contacts = (match[0] for match in patterns.CONTACTS.finditer(low))  # a formula has decimal fractions
    return any(patterns.is_contact(found) and not patterns.DECIMALS.search(found) for found in contacts)


def _positions(text: str) -> tuple[str, list[int]]:
    """The folded text, and for each of its characters the place of the one that it came from."""
    pieces = [plain(character) for character in text]
    return "".join(pieces), [here for here, piece in enumerate(pieces) for _ in piece]


def _tidy(text: str) -> str:
    """What is left, with one of the separators that were around what went, and without brackets that hold nothing."""
    while (closed := _BRACKETS.sub(_GONE, text)) != text:
        text = closed
    return _AROUND.sub(_joined, text).strip(_EDGES)


def _joined(match: re.Match[str]) -> str:
    before, *_, after = match[0].split(_GONE)
    return after if not before or "\n" in after else before
