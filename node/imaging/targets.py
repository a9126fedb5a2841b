"""The transfer syntaxes that `transcode` writes, and which pixels each may hold (PS3.5 8.2.1 to 8.2.4 and 8.2.14)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from node.imaging.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One transfer syntax to write."""

    name: str
    uid: str
    words: str
    """For a person, in Derivation Description."""
    method: str = ""
    """Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1); "" where nothing is lost."""
    transformed: str = ""
    """The photometric interpretation that RGB becomes, where the coding transforms colour."""
    allocated: tuple[int, ...] = (8, 16)
    stored: tuple[int, int] = (1, 16)
    """Least and most Bits Stored."""
    ybr: tuple[int, ...] = (8, 16)
    """Bits Allocated that YBR_FULL may have."""
    signed: bool = True
    encapsulated: bool = True

    @property
    def lossy(self) -> bool:
        return bool(self.method)


_PREFIX = "1.2.840.10008.1.2"

# Less than the tables allow where a common decoder reads less: OpenJPEG takes 16 bits of HTJ2K, some 24 of JPEG 2000.
_ALL = (
    Target(name="explicit", uid=f"{_PREFIX}.1", words="uncompressed", encapsulated=False),
    Target(name="deflated", uid=f"{_PREFIX}.1.99", words="deflated", encapsulated=False),
    Target(name="rle", uid=f"{_PREFIX}.5", words="RLE", ybr=(8,)),
    Target(name="jpeg-lossless", uid=f"{_PREFIX}.4.70", words="JPEG lossless"),
    Target(name="jpeg-ls", uid=f"{_PREFIX}.4.80", words="JPEG-LS lossless", stored=(2, 16), ybr=(8,)),
    Target(
        name="jpeg-2000", uid=f"{_PREFIX}.4.90", words="JPEG 2000 lossless", transformed="YBR_RCT",
        allocated=(8, 16, 32), stored=(1, 24), ybr=(8, 16, 32),
    ),
    Target(
        name="htj2k", uid=f"{_PREFIX}.4.201", words="HTJ2K lossless", transformed="YBR_RCT",
    ),
    Target(
        name="htj2k-rpcl", uid=f"{_PREFIX}.4.202", words="HTJ2K lossless, RPCL", transformed="YBR_RCT",
    ),
    Target(
        name="jpeg-baseline", uid=f"{_PREFIX}.4.50", words="JPEG baseline", method="ISO_10918_1",
        transformed="YBR_FULL_422", allocated=(8,), stored=(8, 8), ybr=(8,), signed=False,
    ),
    Target(
        name="jpeg-ls-near", uid=f"{_PREFIX}.4.81", words="JPEG-LS near-lossless", method="ISO_14495_1",
        stored=(2, 16), ybr=(8,),
    ),
    Target(
        name="jpeg-2000-lossy", uid=f"{_PREFIX}.4.91", words="JPEG 2000", method="ISO_15444_1", transformed="YBR_ICT",
    ),
    Target(name="htj2k-lossy", uid=f"{_PREFIX}.4.203", words="HTJ2K", method="ISO_15444_15", transformed="YBR_ICT"),
)  # fmt: skip

TARGETS: Mapping[str, Target] = {target.name: target for target in _ALL}


def why_not(target: Target, layout: Layout) -> str:
    """Why pixels of this layout cannot be written in `target`, or ""."""
    if not target.encapsulated:
        return ""
    if layout.keyword != "PixelData" or layout.allocated == 1:
        kind = "pixels of one bit" if layout.allocated == 1 else "floating point pixels"
        return f"{kind} cannot be {target.words}"
    if layout.allocated not in target.allocated or not target.stored[0] <= layout.stored <= target.stored[1]:
        return f"{layout.stored} 'Bits Stored' in {layout.allocated} 'Bits Allocated' cannot be {target.words}"
    if layout.signed and (layout.samples > 1 or not target.signed):
        return f"signed pixels cannot be {target.words}"
    if layout.photometric == "PALETTE COLOR" and (target.lossy or layout.signed or layout.allocated > 16):
        return f"palette colour cannot be {target.words}: its samples are no intensities"
    if layout.samples > 1 and layout.photometric not in ("RGB", "YBR_FULL"):
        return f"{layout.photometric} cannot be {target.words}"
    if layout.photometric == "YBR_FULL" and layout.allocated not in target.ybr:
        return f"YBR_FULL in {layout.allocated} 'Bits Allocated' cannot be {target.words}"
    return ""


def written(target: Target, layout: Layout) -> Layout:
    """The layout of frames of `layout`, which are as they were coded, once they are in `target`.

    JPEG-LS here codes bytes and words: with loss a value may leave a range of fewer bits, so the range is widened, as
    it may be in a new instance.
    """
    photometric = layout.photometric
    if target.transformed and photometric == "RGB":
        photometric = target.transformed
    if target.transformed == "YBR_FULL_422" and photometric == "YBR_FULL":
        photometric = target.transformed
    stored = layout.allocated if target.name == "jpeg-ls-near" else layout.stored
    return replace(
        layout, transfer_syntax=target.uid, photometric=photometric, planar=False, little_endian=True, stored=stored,
        encapsulated=target.encapsulated,
    )  # fmt: skip
