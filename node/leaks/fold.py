"""Text in one spelling, and the spellings that a name may have: case, accents, character sets, transliteration.

Text of an output is folded one way: lower case, without accents, Cyrillic and Greek as Latin letters, katakana as
hiragana. What is looked for is folded all the ways that people write it, so that `Müller`, `MUELLER` and `Muller`,
`Иванов`, `Iwanow` and `Ivanov` find each other.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping

_APOSTROPHES = "'’‘`´ʼʹ\u02bb"
_LATIN = {
    "ß": "ss", "ẞ": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ħ": "h", "ı": "i",
    "ŋ": "n", "ĸ": "k", "ŧ": "t", "ə": "e",
}  # fmt: skip
_CYRILLIC = {
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ж": "zh", "з": "z", "и": "i", "к": "k", "л": "l",
    "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts",
    "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya", "є": "ie",
    "і": "i", "ґ": "g", "ђ": "dj", "ј": "j", "љ": "lj", "њ": "nj", "ћ": "c", "џ": "dz", "ѕ": "dz",
}  # fmt: skip
_GREEK = {
    "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k", "λ": "l",
    "μ": "m", "ν": "n", "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t", "υ": "y", "φ": "f",
    "χ": "ch", "ψ": "ps", "ω": "o",
}  # fmt: skip

# How else Cyrillic and Greek are written: German, scholarly (ISO 9), passports (ICAO 9303; ου as `ou`), and French.
_GERMAN_SCHEME = {
    "ж": "sch", "х": "ch", "ц": "z", "ч": "tsch", "ш": "sch", "щ": "schtsch", "ю": "ju", "я": "ja", "в": "w", "з": "s",
    "ё": "jo",
}  # fmt: skip
_SCHEMES: tuple[Mapping[str, str], ...] = (
    _GERMAN_SCHEME,
    _GERMAN_SCHEME | {"й": "i"},
    _GERMAN_SCHEME | {"й": "j"},
    {"ж": "z", "х": "h", "ц": "c", "ч": "c", "ш": "s", "щ": "sc", "ю": "ju", "я": "ja", "й": "j", "ё": "e"},
    {"ю": "iu", "я": "ia", "й": "i", "ъ": "ie", "ё": "e"},
    {"ж": "j", "у": "ou", "ч": "tch", "ш": "ch", "ю": "iou", "я": "ia", "ё": "io"},
    {"й": "y", "ё": "yo", "е": "ye", "х": "h", "ц": "c", "я": "ia"},
    {"β": "b", "η": "e", "υ": "u", "φ": "ph", "χ": "h", "γ": "gh"},
    {"υ": "u", "ύ": "u"},
    {"υ": "u", "ύ": "u", "χ": "h", "β": "b"},
)  # fmt: skip
_GERMAN = {"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"}

_KANA_ROWS = {
    "": "あいうえお", "k": "かきくけこ", "g": "がぎぐげご", "s": "さしすせそ", "z": "ざじずぜぞ", "t": "たちつてと",
    "d": "だぢづでど", "n": "なにぬねの", "h": "はひふへほ", "b": "ばびぶべぼ", "p": "ぱぴぷぺぽ", "m": "まみむめも",
    "r": "らりるれろ",
}  # fmt: skip
_KANA = {kana: row + vowel for row, kanas in _KANA_ROWS.items() for kana, vowel in zip(kanas, "aiueo", strict=True)} | {
    "し": "shi", "じ": "ji", "ち": "chi", "ぢ": "ji", "つ": "tsu", "づ": "zu", "ふ": "fu", "や": "ya", "ゆ": "yu",
    "よ": "yo", "わ": "wa", "を": "o", "ん": "n",
}  # fmt: skip
_SMALL = {"ゃ": "ya", "ゅ": "yu", "ょ": "yo"}


class _Folding(dict[int, str]):
    """`str.translate` of one character, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _folded_character(chr(code))
        return folded


def _folded_character(char: str) -> str:
    if char in _APOSTROPHES:
        return ""
    if "ァ" <= char <= "ヶ":
        return chr(ord(char) - 0x60)
    if char.isdigit():
        return str(unicodedata.digit(char))  # also those of Arabic and Devanagari
    low = char.lower()
    for table in (_LATIN, _CYRILLIC, _GREEK):
        if low in table:
            return table[low]
    if "\u3040" <= char <= "\u30ff" or "\uac00" <= char <= "\ud7a3":
        return char  # taken apart, a syllable would be several characters
    bare = "".join(c for c in unicodedata.normalize("NFKD", low) if not unicodedata.combining(c))
    if bare == char:
        return char
    return "".join(_folded_character(c) for c in bare) if bare != low else bare


_FOLDING = _Folding()


def fold(text: str) -> str:
    """The one spelling that text is searched in. ASCII only loses its case and apostrophes."""
    if text.isascii():
        return text.lower().replace("'", "").replace("`", "")
    # NFKC first: half-width katakana come with their voice marks apart, full-width Latin is Latin.
    return unicodedata.normalize("NFKC", text).translate(_FOLDING)


def spellings(name: str) -> frozenset[str]:
    """Every folded spelling that a name, or a part of one, is looked for in; at least its own."""
    low = unicodedata.normalize("NFKC", name).lower()
    found = {fold(low), fold(_by(_GERMAN, low))}
    for scheme in _SCHEMES:
        if any(letter in low for letter in scheme):
            found.add(fold(_by(scheme, low)))
    found |= {romaji for kana in tuple(found) for romaji in _romaji(kana)}
    # `Mueller` may be written back as `Müller`, which folds to `muller`.
    back = {one.replace("ae", "a").replace("oe", "o").replace("ue", "u") for one in found}
    if any("\u0400" <= letter <= "\u04ff" for letter in low):
        back |= {new for one in found for new in _russian_endings(one)}
    return frozenset(one for one in found | back if one)


def _russian_endings(name: str) -> Iterator[str]:
    """-ий and -ый at the end of a name: Tchaikovsky, Tchaikovskij."""
    if name.endswith(("iy", "ii", "yy", "yi", "ij", "yj")):
        yield from (name[:-2] + end for end in ("y", "i", "ij", "iy"))


def _by(scheme: Mapping[str, str], text: str) -> str:
    return "".join(scheme.get(letter, letter) for letter in text)


def _romaji(text: str) -> Iterator[str]:
    """Kana in Hepburn romanisation, long vowels written and not written."""
    if not text or not all("\u3041" <= c <= "\u3096" or c in "ー " for c in text):
        return
    out: list[str] = []
    doubled = False
    for char in text:
        if char in _SMALL and out:
            stem = out.pop()[:-1]
            sound = _SMALL[char]
            out.append(stem + (sound[1:] if stem.endswith(("sh", "ch", "j")) else sound))
            continue
        if char == "っ":
            doubled = True
            continue
        sound = _KANA.get(char, " " if char == " " else "")
        if doubled and sound:
            sound, doubled = ("t" if sound.startswith("ch") else sound[0]) + sound, False
        out.append(sound)
    full = "".join(out)
    yield full
    yield full.replace("ou", "o").replace("oo", "o").replace("uu", "u")
    yield full.replace("ou", "oh").replace("oo", "oh")
