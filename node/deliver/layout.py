"""The folder layout of a destination: header values to a safe relative path. Pure.

Header values come from the network. Whatever they hold, a layout gives the same number of path parts, each
one a name that every common file system takes, and none that leads out of the folder.
"""

from __future__ import annotations

import hashlib
import re
import string
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from node.errors import ConfigurationError

UNKNOWN = "unknown"
"""Stands for a value that is empty or absent."""

_LONGEST = 120
"""UTF-8 bytes of one part. File systems take 255; backup tools and Windows paths take less."""

_UNSAFE = frozenset('<>:"/\\|?*')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE | re.DOTALL)
"""Device names on Windows, with any extension; a share may be read from there."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A template such as `{PatientID}/{StudyInstanceUID}/{SeriesNumber}_{Modality}`.

    Raises ConfigurationError for a template with empty, `.` or `..` parts, or with anything but
    `{Keyword}` in braces.
    """

    template: str

    def __post_init__(self) -> None:
        for part in self.template.split("/"):
            if part.strip() in ("", ".", ".."):
                raise ConfigurationError(f'layout "{self.template}": every part between slashes needs a name')
        for keyword in self.keywords:
            if not keyword.isidentifier():
                raise ConfigurationError(
                    f'layout "{self.template}": "{{{keyword}}}" is no attribute keyword; write it like {{PatientID}}'
                )

    @property
    def keywords(self) -> tuple[str, ...]:
        """The header values that `folder` looks up, in order of appearance."""
        try:
            pieces = list(string.Formatter().parse(self.template))
        except ValueError as error:
            raise ConfigurationError(f'layout "{self.template}": {error}') from None
        # A conversion or format is put back, so that {PatientID!r} and {PatientID:>9} are seen as no keyword.
        found = [
            f"{name}{'!' + how if how else ''}{':' + form if form else ''}"
            for _, name, form, how in pieces
            if name is not None
        ]
        return tuple(dict.fromkeys(found))

    def folder(self, fields: Mapping[str, str]) -> PurePosixPath:
        """The folder for a file with these header values, relative; as many parts as the template has."""
        values = {keyword: value_part(fields.get(keyword, "")) for keyword in self.keywords}
        return PurePosixPath(*(safe_part(part.format_map(values)) for part in self.template.split("/")))


def value_part(value: str) -> str:
    """A header value as a piece of a name: no separators, `unknown` when nothing is left."""
    return _clean(value) or UNKNOWN


def safe_part(text: str) -> str:
    """`text` as one part of a path, NFC, at most 120 bytes of UTF-8.

    Unsafe characters become `_`; a longer text keeps its beginning and gets a hash of the whole, so that
    two long texts stay two. Not injective otherwise: `a/b` and `a_b` give the same part. Idempotent.
    """
    name = _clean(text) or UNKNOWN
    if _RESERVED.fullmatch(name):
        name = "_" + name
    encoded = name.encode()
    if len(encoded) <= _LONGEST:
        return name
    mark = "~" + short_hash(name)
    return encoded[: _LONGEST - len(mark)].decode(errors="ignore") + mark


def marked(name: str, owner: str) -> str:
    """`name` with a short hash of `owner` before its extension: `a.nii.gz` to `a~1f2e3d4c.nii.gz`."""
    path = PurePosixPath(name)
    extension = path.suffix if path.suffix != ".gz" else "".join(path.suffixes[-2:])
    return f"{name[: len(name) - len(extension)]}~{short_hash(owner)}{extension}"


def short_hash(text: str) -> str:
    """Eight hexadecimal digits of the SHA-256 of `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _clean(text: str) -> str:
    normal = unicodedata.normalize("NFC", text.strip())
    clean = unicodedata.normalize("NFC", "".join(map(_safe_character, normal)))
    return clean.strip(" .")  # a leading dot hides the file, Windows drops a trailing dot or space


def _safe_character(character: str) -> str:
    """A plain space for any space, `_` for separators and the categories C* and Z* (control, direction marks, ...)."""
    category = unicodedata.category(character)
    if category == "Zs":
        return " "
    return "_" if character in _UNSAFE or category[0] in "CZ" else character
