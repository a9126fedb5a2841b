"""Every codec on one core: MB/s of decoded pixels, encoding and decoding, what is left of them, and how long another
Python thread of the process had to wait.

python -m benchmarks.codecs [--rows 2048] [--quick]

Workers decode for this reason: a codec that holds the interpreter lock stops whoever answers an association. The
fallbacks of pydicom are beside ours. A stall of some milliseconds is the machine's own; see the first line.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import imagecodecs
import numpy as np

from benchmarks.figures import number, table
from benchmarks.machine import machine, median_seconds
from node.dicom.uids import TRANSFER_SYNTAXES
from node.imaging.codecs import DECODERS, fallback
from node.imaging.codestream import sniff
from node.imaging.encode import ENCODERS
from node.imaging.layout import Array, Layout
from node.imaging.targets import TARGETS, written
from tests import make

_TICK = 0.0005


@dataclass(slots=True)
class Ticking:
    """Another thread, which wants the interpreter every half millisecond."""

    longest: float = 0.0
    """Seconds between two of its turns."""
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        last = time.perf_counter()
        while not self.over.is_set():
            time.sleep(_TICK)
            now = time.perf_counter()
            self.longest, last = max(self.longest, now - last), now


@contextmanager
def ticking() -> Iterator[Ticking]:
    found = Ticking()
    thread = threading.Thread(target=found.run)
    thread.start()
    try:
        yield found
    finally:
        found.over.set()
        thread.join()


def stall(work: Callable[[], object]) -> float:
    """The longest wait of another thread in milliseconds, the least of three runs: the rest is the machine's."""
    waits = []
    for _ in range(3):
        with ticking() as thread:
            work()
        waits.append(thread.longest)
    return min(waits) * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One codec, and a frame of it."""

    name: str
    frame: Array
    encode: Callable[[], bytes]
    decode: Callable[[bytes], object]


def grey(rows: int) -> Array:
    """12 bits with the noise of a CT."""
    return make.picture(rows, rows, low=0, high=4000).astype(np.uint16)


def layout(frame: Array, uid: str, stored: int) -> Layout:
    return Layout(
        transfer_syntax=uid, keyword="PixelData", rows=frame.shape[0], columns=frame.shape[1],
        samples=1 if frame.ndim == 2 else 3, frames=1, allocated=8 * frame.dtype.itemsize, stored=stored, signed=False,
        photometric="MONOCHROME2" if frame.ndim == 2 else "RGB", planar=False, encapsulated=True,
    )  # fmt: skip


def works(rows: int) -> Iterator[Work]:
    """Every encoder of the node with its decoder, then what it only decodes, then the fallbacks."""
    word = grey(rows)
    byte = np.right_shift(word, 4).astype(np.uint8)
    colour = np.stack([byte, byte[::-1], 255 - byte], -1)
    for target in TARGETS.values():
        if not target.encapsulated:
            continue
        frames = [(byte, 8), (colour, 8)] if target.name == "jpeg-baseline" else [(word, 12)]
        level = {"jpeg-baseline": 90.0, "jpeg-ls-near": 2.0, "jpeg-2000-lossy": 60.0, "htj2k-lossy": 0.001}
        for frame, stored in frames:
            source = layout(frame, target.uid, stored)
            to = written(target, source)
            yield Work(
                name=f"{target.name}{' RGB' if frame.ndim == 3 else ''}", frame=frame,
                encode=_bound(ENCODERS[target.uid].encode, frame, source, to, level.get(target.name, 0.0)),
                decode=_decoding(target.uid, to),
            )  # fmt: skip
    others: dict[str, Callable[[], bytes]] = {
        "1.2.840.10008.1.2.4.51": lambda: bytes(imagecodecs.jpeg8_encode(word, level=90, bitspersample=12)),
        "1.2.840.10008.1.2.4.57": lambda: bytes(
            imagecodecs.jpeg8_encode(word, lossless=True, predictor=6, bitspersample=12)
        ),
        "1.2.840.10008.1.2.4.110": lambda: bytes(imagecodecs.jpegxl_encode(word, lossless=True, bitspersample=12)),
    }
    for uid, encode in others.items():
        yield Work(
            name=TRANSFER_SYNTAXES[uid].name, frame=word, encode=encode, decode=_decoding(uid, layout(word, uid, 12))
        )
    for name in ("rle", "jpeg-2000", "htj2k"):
        uid = TARGETS[name].uid
        source = layout(word, uid, 12)
        yield Work(
            name=f"{name}, pydicom", frame=word, encode=_bound(ENCODERS[uid].encode, word, source, source, 0.0),
            decode=_bound_last(fallback, source),
        )  # fmt: skip


def _bound(encode: Callable[..., bytes], *arguments: object) -> Callable[[], bytes]:
    return lambda: encode(*arguments)


def _bound_last(decode: Callable[[bytes, Layout], object], of: Layout) -> Callable[[bytes], object]:
    return lambda data: decode(data, of)


def _decoding(uid: str, of: Layout) -> Callable[[bytes], object]:
    return lambda data: DECODERS[uid](data, of, sniff(data))


def row(work: Work, times: int) -> tuple[str, ...]:
    coded = work.encode()
    megabytes = work.frame.nbytes / 1e6
    encoding = megabytes / median_seconds(work.encode, times)
    decoding = megabytes / median_seconds(lambda: work.decode(coded), times)
    return (
        work.name, number(encoding), number(decoding), number(work.frame.nbytes / len(coded), 2),
        number(stall(work.encode), 1), number(stall(lambda: work.decode(coded)), 1),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2048)
    parser.add_argument("--quick", action="store_true", help="128 rows, once")
    options = parser.parse_args()
    rows, times = (128, 1) if options.quick else (options.rows, 3)
    print(f"{machine()}; imagecodecs {imagecodecs.__version__}; {rows} x {rows}, medians of {times}")
    print(f"another thread waits {stall(lambda: time.sleep(0.2)):.1f} ms while nothing is done\n")
    head = ("codec", "encode MB/s", "decode MB/s", "ratio", "stall encoding ms", "stall decoding ms")
    print(table(head, (row(work, times) for work in works(rows))))


if __name__ == "__main__":
    main()
