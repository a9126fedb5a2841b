"""The DICOM standard as far as the node needs it, and nothing of the node itself.

Citations here are to edition 2026d, e.g. `PS3.5 7.5`: Part 5, section 7.5. Nothing in this folder opens a
socket or a database; files are read and bytes are made, never written.
"""

from __future__ import annotations

EDITION = "2026d"
"""The edition of the standard that every `PSx.y` in this package refers to."""
