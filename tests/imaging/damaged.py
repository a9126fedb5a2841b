"""Frames that were whole once, decoded in a worker: a codec that crashes on one must not take the tests with it."""

from __future__ import annotations

from collections import Counter

import numpy as np

from node.errors import CannotSucceed
from node.imaging.decode import decode_frame
from node.imaging.encode import ENCODERS
from node.imaging.targets import TARGETS, written
from tests import make
from tests.imaging.layouts import layout


def outcomes(name: str, first: int, count: int) -> Counter[str]:
    """What came of `count` damaged frames, by seeds from `first` on: "refused", or "decoded" to the right shape."""
    target = TARGETS[name]
    frame = make.picture(40, 48, low=0, high=250).astype(np.uint8)
    source = layout(frame.shape, dtype=np.uint8)
    encoder, to = ENCODERS[target.uid], written(target, source)
    whole = encoder.encode(frame, source, to, encoder.level(encoder.finest // 2) if target.lossy else 0.0)
    found: Counter[str] = Counter()
    for seed in range(first, first + count):
        try:
            decoded = decode_frame(to, damaged(whole, np.random.default_rng(seed)), rgb=False)
        except CannotSucceed:
            found["refused"] += 1
        else:
            assert (decoded.shape, decoded.dtype) == (frame.shape, frame.dtype)
            found["decoded"] += 1
    return found


def damaged(data: bytes, random: np.random.Generator) -> bytes:
    """Some bytes changed, a stretch cut out, or the end cut off."""
    changed = bytearray(data)
    kind = random.integers(0, 4)
    if kind == 0:
        del changed[int(random.integers(1, len(changed))) :]
    elif kind == 1:
        at = int(random.integers(0, len(changed)))
        del changed[at : at + int(random.integers(1, 20))]
    for _ in range(int(random.integers(1, 6)) if kind > 1 else 0):
        changed[int(random.integers(0, len(changed)))] = int(random.integers(0, 256))
    return bytes(changed)
