"""The header of NIfTI-1 files (https://nifti.nimh.nih.gov/nifti-1), packed and read back."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from node.errors import CannotSucceed
from node.imaging.geometry import Floats, tolerance_of

RGB24 = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])

# nifti1.h: data type codes.
_CODES: dict[np.dtype[np.generic], int] = {
    np.dtype("u1"): 2,
    np.dtype("i2"): 4,
    np.dtype("i4"): 8,
    np.dtype("f4"): 16,
    np.dtype("f8"): 64,
    RGB24: 128,
    np.dtype("i1"): 256,
    np.dtype("u2"): 512,
    np.dtype("u4"): 768,
    np.dtype("i8"): 1024,
    np.dtype("u8"): 1280,
}
_TYPES = {code: dtype for dtype, code in _CODES.items()}

_LARGEST = 32767  # dim[] are 16-bit signed
DATA_AT = 352  # 348 bytes of header, 4 of "no extensions"
_MILLIMETRE = 2
_SCANNER_ANATOMICAL = 1
_SECOND = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NiftiHeader:
    """The fields of the 348-byte header that mean something here."""

    shape: tuple[int, int, int, int]
    """(columns, rows, slices, volumes)"""
    dtype: np.dtype[np.generic]
    affine: Floats
    """(4, 4), voxel (column, row, slice) to RAS, mm; float32 in the file."""
    slope: float = 1.0
    intercept: float = 0.0
    seconds: float = 0.0
    """From one volume to the next, 0 where that is unknown."""

    def packed(self) -> bytes:
        """352 bytes, little-endian. Raises CannotSucceed when a dimension exceeds 32767, or a length float32.

        The affine goes into the sform. The qform holds rotations only: it is set when it says the same, else its code
        is 0 (unknown), so that no reader can choose the wrong one.
        """
        if max(self.shape) > _LARGEST:
            raise CannotSucceed(f"{' x '.join(map(str, self.shape))} voxels: NIfTI-1 ends at {_LARGEST} a side")
        if not np.abs(self.affine).max() <= np.finfo(np.float32).max:
            raise CannotSucceed(f"a length of {np.abs(self.affine).max():g} mm: NIfTI-1 has 32-bit floats")
        header = bytearray(DATA_AT)
        columns, rows, slices, volumes = self.shape
        sizes = np.linalg.norm(self.affine[:3, :3], axis=0)
        handedness, quaternion, same = _qform(self.affine, self.shape)
        struct.pack_into("<i", header, 0, 348)
        struct.pack_into("<8h", header, 40, 4 if volumes > 1 else 3, columns, rows, slices, volumes, 1, 1, 1)
        struct.pack_into("<2h", header, 70, _CODES[self.dtype], self.dtype.itemsize * 8)
        struct.pack_into("<8f", header, 76, handedness, *sizes, self.seconds or 1, 1, 1, 1)
        struct.pack_into("<3f", header, 108, DATA_AT, self.slope, self.intercept)
        header[123] = _MILLIMETRE | (_SECOND if self.seconds else 0)
        struct.pack_into("<2h", header, 252, _SCANNER_ANATOMICAL if same else 0, _SCANNER_ANATOMICAL)
        struct.pack_into("<6f", header, 256, *quaternion, *self.affine[:3, 3])
        struct.pack_into("<12f", header, 280, *self.affine[:3].ravel())
        header[344:348] = b"n+1\0"
        return bytes(header)


def unpacked(data: bytes) -> NiftiHeader:
    """Parse the 352 bytes of `NiftiHeader.packed`."""
    dims = struct.unpack_from("<8h", data, 40)
    (code,) = struct.unpack_from("<h", data, 70)
    slope, intercept = struct.unpack_from("<2f", data, 112)
    affine = np.vstack([np.array(struct.unpack_from("<12f", data, 280)).reshape(3, 4), [0, 0, 0, 1]])
    (seconds,) = struct.unpack_from("<f", data, 92)
    return NiftiHeader(
        shape=(dims[1], dims[2], dims[3], dims[4]),
        dtype=_TYPES[code],
        affine=affine,
        slope=slope,
        intercept=intercept,
        seconds=seconds if data[123] & _SECOND else 0.0,
    )


def _qform(affine: Floats, shape: tuple[int, int, int, int]) -> tuple[float, tuple[float, float, float], bool]:
    """qfac, quaternion (b, c, d), and whether every reader gets the affine back from them, within half the tolerance.

    A reader computes a = sqrt(1 - b2 - c2 - d2) from float32, which loses up to 6e-4 radians near half a turn, where
    every axial series lies: too much for a large field.
    """
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    u, _, v = np.linalg.svd(affine[:3, :3] / sizes)
    nearest = u @ v  # the nearest orthogonal matrix
    handedness = 1.0 if np.linalg.det(nearest) > 0 else -1.0
    quaternion = _quaternion(nearest * [1, 1, handedness])
    stored = np.array(quaternion, np.float32)
    double, single = 1 - float(stored.astype(np.float64) @ stored.astype(np.float64)), 1 - float(stored @ stored)
    far, apart = np.array(shape[:3]) - 1, 0.0
    # As it stands; in float32; and with what is below a threshold taken for 0: nifti1_io.c 1e-7, nibabel 3.6e-7.
    for a2 in (double, single, double if double > 3.6e-7 else 0.0):
        read = _rotation(a2, *(float(x) for x in stored)) * [1, 1, handedness] * sizes
        apart = max(apart, float(np.linalg.norm((read - affine[:3, :3]) @ far)))
    return handedness, quaternion, apart <= tolerance_of((float(sizes[0]), float(sizes[1]))) / 2


def _rotation(a2: float, b: float, c: float, d: float) -> Floats:
    """The rotation of a quaternion as nifti1.h spells it out (method 2)."""
    a = float(np.sqrt(max(a2, 0.0)))
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * b * c - 2 * a * d, 2 * b * d + 2 * a * c],
            [2 * b * c + 2 * a * d, a * a + c * c - b * b - d * d, 2 * c * d - 2 * a * b],
            [2 * b * d - 2 * a * c, 2 * c * d + 2 * a * b, a * a + d * d - c * c - b * b],
        ]
    )


def _quaternion(rotation: Floats) -> tuple[float, float, float]:
    """(b, c, d) of the unit quaternion whose a is not negative: the eigenvector of Bar-Itzhack's symmetric matrix."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    k = np.array(
        [
            [xx - yy - zz, 0, 0, 0],
            [yx + xy, yy - xx - zz, 0, 0],
            [zx + xz, zy + yz, zz - xx - yy, 0],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    b, c, d, a = np.linalg.eigh(k / 3)[1][:, -1]  # eigh reads the lower triangle
    sign = -1.0 if a < 0 else 1.0
    return float(b * sign), float(c * sign), float(d * sign)
