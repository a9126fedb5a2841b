"""RSNA CTP's DicomPixelAnonymizer scripts as pixel rules (mircwiki.rsna.org, The CTP DICOM Pixel Anonymizer).

    any words          { Modality.equals("CT") * !Manufacturer.contains("GE") }   (0,0,512,200) (390,80,122,15)

A signature in braces, in the language of CTP's DICOM filter: `!` not, then `*` and, then `+` or, parentheses,
`true.`, `false.`, and identifier.method("text"), where an identifier is a keyword or [gggg,eeee], and A::B means B in
the first item of the sequence A. After it its regions: left, top, width, height. What else stands between is for the
reader. CTP takes the first signature that means an image; here all of them count, so that never less is blacked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from node.imaging.mask import Rectangle
from node.steps.anonymize.device import METHODS, Both, Condition, Either, Not, Path, Says, tag_named
from node.steps.anonymize.pixel_rules import PixelRule, RuleCut

_SIGNATURE = re.compile(r"\{([^}]*)\}")
_PARENTHESES = re.compile(r"\(([^)]*)\)")
_NUMERIC = re.compile(r"[-+.,;\s\d]*\d[-+.,;\s\d]*")
_REGION = re.compile(r"\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*,\s*(\d{1,6})\s*")
_TOKEN = re.compile(
    r"""\s+ | //[^\n]*
    | (?P<text>"[^"\n]*")
    | (?P<tag>\[[0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\])
    | (?P<mark>::|[.!*+()])
    | (?P<word>\w+)""",
    re.VERBOSE,
)
_LIKE_A_NUMBER = re.compile(r"\s*[-+]?[0-9OoIlSB]{1,6}(?:\.\d*)?\s*")
"""With letters that are taken for digits."""
_NUMBERS = re.compile(r"\d\s*[,;]\s*\d+\s*[,;]\s*\d")
_WHOLE_NUMBERS = "a region is (left,top,width,height) in whole numbers"
_METHODS = frozenset(name for name in METHODS if not name.startswith("deid "))

Problems = list[tuple[int, str]]
"""(line from 1, what is wrong)"""


class _ScriptError(Exception):
    """A signature is not understood. `at` counts from its beginning."""

    def __init__(self, at: int, why: str) -> None:
        self.at = at
        super().__init__(why)


def is_one(text: str) -> bool:
    return _SIGNATURE.search(text) is not None


def parse(text: str, name: str) -> tuple[tuple[PixelRule, ...], Problems]:
    """The rules of a file called `name`, in order, and its problems by line; a signature with one is left out."""
    rules: list[PixelRule] = []
    problems: Problems = []
    signatures = list(_SIGNATURE.finditer(text))
    ends = [*(match.start() for match in signatures), len(text)][1:]
    for match, end in zip(signatures, ends, strict=True):
        before = len(problems)
        cuts = []
        for at, region in _regions(text, match.end(), end):
            if isinstance(region, str):
                problems.append((_line(text, at), region))
            else:
                cuts.append(RuleCut(region))
        condition: Condition = False
        try:
            condition = _Reader(match[1]).whole()
        except _ScriptError as error:
            problems.append((_line(text, match.start(1) + error.at), str(error)))
        line = _line(text, match.start())
        if not cuts and len(problems) == before:
            problems.append((line, "a signature without a region; it would black nothing"))
        if len(problems) == before:
            words = " ".join(match[1].split())
            rules.append(PixelRule(name=words, where=f"{name}:{line}", condition=condition, cuts=tuple(cuts)))
    first = signatures[0].start() if signatures else 0
    problems += [(_line(text, at), "a region before any signature") for at, _ in _regions(text, 0, first)]
    left = [(m.end(), end) for m, end in zip(signatures, ends, strict=True)]
    for begin, end in ((0, first), *left):
        if (at := text.find("}", begin, end)) >= 0:
            problems.append((_line(text, at), "a signature without its beginning"))
    unclosed = text.find("{", signatures[-1].end() if signatures else 0)
    if unclosed >= 0:
        problems.append((_line(text, unclosed), "a signature without its end"))
    return tuple(rules), sorted(problems)


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _regions(text: str, start: int, end: int) -> Iterator[tuple[int, Rectangle | str]]:
    """Regions by their place; words in parentheses are for the reader, numbers that are no region a mistake: also where
    a letter stands in them, or a parenthesis is missing, for what is taken for words blacks nothing."""
    after = start
    for match in _PARENTHESES.finditer(text, start, end):
        numbers = _REGION.fullmatch(match[1])
        if numbers:
            left, top, width, height = map(int, numbers.groups())
            yield match.start(), Rectangle(left, top, left + width, top + height)
        elif _NUMERIC.fullmatch(match[1]) or _is_meant(match[1]):
            yield match.start(), _WHOLE_NUMBERS
        yield from _outside(text, after, match.start())
        after = match.end()
    yield from _outside(text, after, end)


def _is_meant(words: str) -> bool:
    """Whether words in parentheses were to be a region."""
    parts = re.split("[,;]", words)
    return len(parts) > 2 and sum(_LIKE_A_NUMBER.fullmatch(part) is not None for part in parts) > 1


def _outside(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    """Numbers in a row that no parentheses, or only one, are around."""
    for match in _NUMBERS.finditer(text, start, end):
        yield match.start(), _WHOLE_NUMBERS


class _Reader:
    """Recursive descent over one signature. Raises _ScriptError."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._scan())
        self._next = 0
        self._depth = 0

    def _scan(self) -> Iterator[tuple[str, str, int]]:
        at = 0
        while at < len(self._text):
            match = _TOKEN.match(self._text, at)
            if match is None:
                raise _ScriptError(at, f'"{self._text[at]}" is not understood')
            if match.lastgroup:
                yield match.lastgroup, match[0], at
            at = match.end()
        yield "end", "", at

    def whole(self) -> Condition:
        found = self._either()
        kind, word, at = self._tokens[self._next]
        if kind != "end":
            raise _ScriptError(at, f'"{word}" where + or * or the end is expected')
        return found

    def _either(self) -> Condition:
        found = self._both()
        while self._is("+"):
            found = Either(found, self._both())
        return found

    def _both(self) -> Condition:
        found = self._one()
        while self._is("*"):
            found = Both(found, self._one())
        return found

    def _one(self) -> Condition:
        self._depth += 1
        if self._depth > 50:
            raise _ScriptError(self._tokens[self._next][2], "it is nested too deep")
        try:
            if self._is("!"):
                return Not(self._one())
            if self._is("("):
                found = self._either()
                self._expect("mark", ")")
                return found
            return self._term()
        finally:
            self._depth -= 1

    def _term(self) -> Condition:
        kind, word, at = self._take()
        if kind == "word" and word in ("true", "false"):
            self._expect("mark", ".")
            return word == "true"
        path: Path = (self._tag(kind, word, at),)
        while self._is("::"):
            path = (*path, self._tag(*self._take()))
        self._expect("mark", ".")
        kind, method, at = self._take()
        if kind != "word" or method not in _METHODS:
            raise _ScriptError(at, f'unknown method "{method}"; there are {", ".join(sorted(_METHODS))}')
        self._expect("mark", "(")
        argument = self._expect("text")[1:-1]
        self._expect("mark", ")")
        if method == "matches":
            try:
                re.compile(argument)
            except re.error as error:
                raise _ScriptError(at, f'"{argument}" is no regular expression: {error}') from None
        return Says(path, method, argument)

    def _tag(self, kind: str, word: str, at: int) -> int:
        if kind == "tag":
            return int(word[1:5] + word[6:10], 16)
        if kind != "word":
            raise _ScriptError(at, f'"{word}" where an attribute is expected' if word else "it ends too early")
        try:
            return tag_named(word)
        except ValueError as error:
            raise _ScriptError(at, str(error)) from None

    def _take(self) -> tuple[str, str, int]:
        token = self._tokens[self._next]
        self._next = min(self._next + 1, len(self._tokens) - 1)
        return token

    def _is(self, mark: str) -> bool:
        kind, word, _ = self._tokens[self._next]
        if kind == "mark" and word == mark:
            self._next += 1
            return True
        return False

    def _expect(self, kind: str, word: str = "") -> str:
        found, said, at = self._take()
        if found != kind or (word and said != word):
            raise _ScriptError(
                at, f'"{said}" where {word or "a text in quotes"} is expected' if said else "it ends too early"
            )
        return said
