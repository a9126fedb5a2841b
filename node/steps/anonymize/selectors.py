"""Which attributes a site rule means: by keyword, tag, path, private attribute, private creator or representation."""

from __future__ import annotations

import re
from dataclasses import dataclass

from node.dicom.attributes import VR_BY_TAG, PrivateTag, is_private, parse_tag, published, suggestions
from node.dicom.deid_table import is_repeating, safe_private
from node.steps.anonymize.fields import FieldError, parse_field

_BY_KIND = re.compile(r"(vr|creator):\s*(.+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Selected:
    """The attributes of one selector."""

    tags: frozenset[int] = frozenset()
    exact: bool = True
    """Named by itself, not by its representation."""
    path: tuple[int, ...] = ()
    """The sequences from the top that the attribute is in; () for any depth."""
    private: tuple[PrivateTag, ...] = ()


def parse_selector(text: str) -> Selected:
    """What a selector means. Raises FieldError, which says what to write instead."""
    text = text.strip()
    if match := _BY_KIND.fullmatch(text):
        return _by_vr(match[2].upper()) if match[1].lower() == "vr" else _by_creator(match[2].strip("\"' "))
    found = parse_tag(text)
    if isinstance(found, PrivateTag):
        return Selected(private=(found,))
    if found is None and "." in text and '"' not in text:
        return _by_path(text)
    if found is not None and is_repeating(found):
        raise FieldError("curves and overlays are removed whatever a rule says")
    if ":" in text:
        raise FieldError(f'"{text}" is no selector; there are vr:XX and creator:NAME besides names, tags and paths')
    return Selected(tags=parse_field(text).tags)


def _by_vr(vr: str) -> Selected:
    tags = frozenset(tag for tag, own in VR_BY_TAG.items() if own == vr and not is_repeating(tag) and tag >> 16 > 7)
    if not tags:
        raise FieldError(f'"{vr}" is the value representation of no attribute')
    return Selected(tags=tags, exact=False)


def _by_creator(creator: str) -> Selected:
    safe = {PrivateTag(group, name, element) for group, name, element in safe_private() if name == creator}
    found = sorted({*published(creator), *safe}, key=str)
    if not found:
        raise FieldError(f'no attributes of the creator "{creator}" are published; name each as (gggg,"{creator}",ee)')
    return Selected(private=tuple(found), exact=False)


def _by_path(text: str) -> Selected:
    tags = []
    parts = text.split(".")
    for at, part in enumerate(parts):
        tag = parse_tag(part.strip())
        if tag is None:
            near = suggestions(part)
            raise FieldError(f'unknown attribute "{part}"' + (f'. Did you mean "{near[0]}"?' if near else ""))
        if isinstance(tag, PrivateTag) or is_private(tag):
            raise FieldError("a path leads through attributes of the standard only")
        if at < len(parts) - 1 and VR_BY_TAG.get(tag) != "SQ":
            raise FieldError(f'"{part}" in a path is no sequence')
        tags.append(tag)
    return Selected(tags=frozenset(tags[-1:]), path=tuple(tags[:-1]))
