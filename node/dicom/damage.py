"""What is raised on a data set that is damaged, and means nothing but that.

pydicom parses a value when it is first used, and raises whatever its parser meets there: one of these was seen for each
kind of damage. The list stands here and nowhere else, because a catch that leaves one out lets one bad object through
as a bug of ours, which holds all that it came with. A fault of our own is an AssertionError, and stays one. The text of
these errors may quote the value: no log and no reason carries it.
"""

from __future__ import annotations

import struct
import zlib

from pydicom.errors import BytesLengthException, InvalidDicomError

DAMAGE = (
    AttributeError,
    BytesLengthException,
    EOFError,
    IndexError,
    InvalidDicomError,
    KeyError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""Of reading, decoding and writing again. Not OSError: that is the disk, which may be better later. Not Malformed: that
is a CannotSucceed, whose sentence quotes nothing."""

UNREADABLE = (*DAMAGE, OSError)
"""Where what cannot be read now counts as damaged: one member of a batch, or a value of a header in memory."""
