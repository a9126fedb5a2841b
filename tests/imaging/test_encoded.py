"""A header whose values are decoded when asked for says what pydicom says, or leaves the file to it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.sequence import Sequence
from pydicom.uid import UID, ImplicitVRLittleEndian

from node.imaging import encoded
from node.imaging.encoded import Encoded, Unusual
from node.imaging.functional import UNREADABLE
from node.imaging.pixels import has_pixels, of_header, read_header
from node.imaging.reading import Attributes, private, value
from tests import make
from tests.real_images import REAL_IMAGES
