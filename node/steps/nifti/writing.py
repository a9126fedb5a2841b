"""One volume to its files: decoded, written, judged by the gate, and described beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from node.errors import CannotSucceed
from node.imaging import gate, resample
from node.imaging.growing import Growing
from node.imaging.layout import Array, Layout
from node.imaging.nifti import NiftiHeader
from node.imaging.pixels import of_header
from node.imaging.values import Values, values_of
from node.imaging.volume_files import Format, has_scale, write
from node.imaging.volumes import Volume
from node.steps.nifti import report
from node.steps.nifti.members import Member, decode, decoded_in_turn, single_frames
from node.steps.nifti.sidecar import diffusion, repetition, sidecar
from node.steps.nifti.written import Written, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How volumes are written."""

    form: Format
    real: bool
    """Real-world values, where there are some."""
    beside: bool
    """The sidecar, .bval and .bvec."""


def write_volume(
    folder: Path, name: str, volume: Volume, members: Sequence[Member], reasons: dict[int, str], wanted: Wanted
) -> Written:
    """Decode, write `folder`/`name`.*, pass the gate, and write what belongs beside it.

    An instance that cannot be decoded gets its own entry in `reasons`. Raises CannotSucceed, with nothing left
    behind, when the volume cannot be written with certainty. Memory: the decoded volume once, and a slice or two; where
    every frame is an instance of its own and nothing is resampled, as many slices as the gate is behind.
    """
    first = members[volume.frames[0].instance]
    layout = _widest(volume, members)
    values = values_of(volume, layout, real=wanted.real, in_header=has_scale(wanted.form))
    described = _described(first, volume)
    notes: list[str] = []
    rows, columns = _shape(volume, layout)
    grid = resample.grid_of(volume, rows, columns) if volume.resampled else None
    streamed = grid is None and single_frames(volume)
    pixels = [] if streamed else decode(volume, members, reasons)
    fill = _fill(volume, values, pixels, notes) if grid else 0.0
    space = (grid.columns, grid.rows, grid.slices) if grid else (columns, rows, volume.slices)
    header = NiftiHeader(
        shape=(*space, volume.times),
        dtype=values.dtype,
        affine=grid.affine if grid else volume.affine,
        slope=values.slope,
        intercept=values.intercept,
        seconds=repetition(described, volume),
    )
    path = folder / f"{name}.{wanted.form}"
    files = [path]
    try:
        if streamed:
            planes = _streamed(volume, values, members, reasons, pixels)
        else:
            planes = _planes(volume, values, pixels, grid, fill)
        passed = _written_and_judged(path, header, planes, wanted.form, partial(
            gate.check, path, volume, values, pixels, wanted.form, fill,
            header.affine if wanted.form == "npy" else None,
            done=partial(_let_go, pixels),
        ))  # fmt: skip
    except CannotSucceed:
        path.unlink(missing_ok=True)
        raise
    del pixels  # by far the largest thing here
    if wanted.beside:
        files += _beside(folder, name, volume, header, described, notes, wanted.form)
    instances = tuple(dict.fromkeys(frame.instance for frame in volume.frames))
    told = folder / f"{name}.report.json"
    write_json(
        told, report.facts(path, wanted.form, header, volume, values, passed, [members[n] for n in instances], notes)
    )
    shape = " x ".join(str(n) for n in header.shape[: 4 if volume.times > 1 else 3])
    how = "resampled, " if volume.resampled else "sheared, " if volume.sheared else ""
    return Written(
        files=tuple(files),
        report=told,
        instances=instances,
        what=f"{shape}, {how}{len(volume.frames)} frames, gate passed",
    )


def _written_and_judged(
    path: Path, header: NiftiHeader, planes: Iterator[Array], form: Format, judge: Callable[[Growing], gate.Passed]
) -> gate.Passed:
    """Write, while another thread judges what the file has so far. Raises CannotSucceed when either fails."""
    growing = Growing()
    with ThreadPoolExecutor(1) as beside:
        judged = beside.submit(judge, growing)
        try:
            write(path, header, planes, form, growing)
        finally:
            growing.end()
    return judged.result()


_GONE = np.empty(0)


def _let_go(pixels: list[Array], frame: int) -> None:
    """What was compared goes at once: else the whole volume would be in memory by the end."""
    pixels[frame] = _GONE


def _widest(volume: Volume, members: Sequence[Member]) -> Layout:
    """That of the first frame, with as many Bits Stored as any has: slices of one series may differ in it."""
    layouts = {id(pixels): pixels.layout for f in volume.frames if (pixels := members[f.instance].pixels) is not None}
    first = members[volume.frames[0].instance].pixels
    assert first is not None  # a member without pixels has no frames
    return replace(first.layout, stored=max(layout.stored for layout in layouts.values()))


def _shape(volume: Volume, layout: Layout) -> tuple[int, int]:
    tile = volume.frames[0].tile
    return (layout.rows, layout.columns) if tile is None else (tile.rows, tile.columns)


def _streamed(
    volume: Volume, values: Values, members: Sequence[Member], reasons: dict[int, str], pixels: list[Array]
) -> Iterator[Array]:
    try:
        for frame, decoded in zip(volume.frames, decoded_in_turn(volume, members, pixels), strict=True):
            yield values.voxels(frame, decoded)
    except CannotSucceed:
        decode(volume, members, reasons)  # names every instance that cannot be decoded, and raises
        raise


def _planes(
    volume: Volume, values: Values, pixels: Sequence[Array], grid: resample.Grid | None, fill: float
) -> Iterator[Array]:
    for t in range(volume.times):
        part = slice(t * volume.slices, (t + 1) * volume.slices)
        pairs = list(zip(volume.frames[part], pixels[part], strict=True))
        if grid is None:
            yield from (values.voxels(frame, decoded) for frame, decoded in pairs)
        else:
            yield from resample.planes(grid, [values.voxels(frame, decoded) for frame, decoded in pairs], fill)


def _fill(volume: Volume, values: Values, pixels: Sequence[Array], notes: list[str]) -> float:
    fill = resample.lowest(values.voxels(f, p) for f, p in zip(volume.frames, pixels, strict=True))
    notes.append(f"resampled linearly; {fill * values.slope + values.intercept:g} where no slice lies")
    return fill


def _described(first: Member, volume: Volume) -> dict[str, Any]:
    """The sidecar's entries; the header is read once more, because those of a series are not kept."""
    return of_header(first.item.path, lambda ds, _: sidecar(ds, volume.frames[0].number, volume))


def _beside(
    folder: Path,
    name: str,
    volume: Volume,
    header: NiftiHeader,
    described: dict[str, Any],
    notes: list[str],
    form: Format,
) -> list[Path]:
    found = [folder / f"{name}.json"]
    if volume.resampled:
        described.pop("SliceTiming", None)  # its slices are mixtures
    write_json(found[0], described)
    values, vectors, missing = diffusion(volume, header.affine)
    if missing:
        notes.append(missing)
    for text, extension in ((values, "bval"), (vectors, "bvec")):
        if text and form.startswith("nii"):
            found.append(folder / f"{name}.{extension}")
            found[-1].write_text(text)
    return found
