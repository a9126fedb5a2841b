"""png: pictures of frames and of series beside their instances; what cannot be shown is held alone."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless

from node.config import freeze, load, thaw
from node.errors import CannotSucceed
from node.imaging.picture_files import chunks
from node.model import Batch, Held, Item, Kind, ReceiptId
from node.steps import STEPS
from node.steps.anonymize import Anonymize
from node.steps.pictures import spread
from node.steps.png import Png
from tests import make
from tests.data import real, several_real_folders
from tests.steps.run_step import RealWork, batch_of, check_contract, run_step

SECRET = b"not a real secret, 32 bytes long"


def drawn(
    instances: Sequence[FileDataset], tmp_path: Path, step: Png | None = None
) -> tuple[Batch, Batch, list[np.ndarray]]:
    batch = batch_of(make.write_all(instances, tmp_path / "in"))
    result = run_step(step or Png(), batch, tmp_path)
    return batch, result, [imagecodecs.png_decode(item.path.read_bytes()) for item in pictures(result)]


def pictures(batch: Batch) -> list[Item]:
    return [item for item in batch.items if item.kind is Kind.IMAGE]


def broken(ds: FileDataset) -> FileDataset:
    ds.PixelData = encapsulate([bytes(imagecodecs.jpegls_encode(ds.pixel_array.view(np.uint16)))[:40]])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = JPEGLSLossless
    return ds


def windowed(series: list[FileDataset]) -> list[FileDataset]:
    for ds in series:
        ds.WindowCenter, ds.WindowWidth = -500, 3000
    return series


def test_every_instance_has_its_picture_and_passes_on(tmp_path: Path) -> None:
    batch, result, found = drawn(windowed(make.ct_series(3, pixel_spacing=(1, 1))), tmp_path)
    assert result.items[:3] == batch.items
    assert [item.sources for item in pictures(result)] == [item.sources for item in batch.items]
    assert [p.shape for p in found] == [(12, 10)] * 3
    names = [item.path.name for item in pictures(result)]
    assert all(name.startswith("003_CT_") and name.endswith(".png") for name in names)
    assert [name.split("_")[3] for name in names] == ["0001", "0002", "0003"]


@pytest.mark.parametrize("show", ["frames", "middle"])
def test_overlays_are_drawn_by_option_and_one_that_is_cut_short_holds_its_instance(show: Any, tmp_path: Path) -> None:
    (ds,) = windowed(make.ct_series(1, rows=8, columns=8, pixel_spacing=(1, 1)))
    for element, vr, value in ((0x10, "US", 8), (0x11, "US", 8), (0x50, "SS", [1, 1]), (0x100, "US", 1)):
        ds.add_new((0x6000, element), vr, value)
    ds.add_new((0x6000, 0x3000), "OW", b"\xff" + bytes(7))
    step = Png(show=show, overlays=True)
    _, _, (plain,) = drawn([ds], tmp_path / "plain", Png(show=show))
    _, _, (found,) = drawn([ds], tmp_path / "drawn", step)
    assert (found[0] == 255).all()
    np.testing.assert_array_equal(found[1:], plain[1:])
    ds[0x6000, 0x3000].value = b"\xff\xff"
    _, result, none = drawn([ds], tmp_path / "cut", step)
    assert not none
    assert result.held[0].reason == "overlay 6000: 2 bytes for 1 frames of 8 x 8 bits"


def test_frames_of_one_instance_are_numbered_files(tmp_path: Path) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (12, 5, 6)).astype(np.uint8)
    _, result, found = drawn([make.secondary_capture(frames)], tmp_path)
    assert [item.path.stem[-6:] for item in pictures(result)] == [f"_f{n:04d}" for n in range(1, 13)]
    np.testing.assert_array_equal(found, frames)
    assert len({item.sources for item in pictures(result)}) == 1


def test_or_one_animated_file(tmp_path: Path) -> None:
    ds = make.secondary_capture(np.random.default_rng(1).integers(0, 256, (4, 5, 6)).astype(np.uint8))
    ds.FrameTime = "50"
    _, result, _ = drawn([ds, *windowed(make.ct_series(1))], tmp_path, Png(animated=True))
    one, still = pictures(result)
    with Image.open(one.path) as image:
        assert image.n_frames == 4  # type: ignore[attr-defined]  # of PNG images only
        assert image.info["duration"] == 50
    assert b"acTL" not in {kind for kind, _ in chunks(still.path.read_bytes())}


def test_an_animation_without_times_says_so(tmp_path: Path) -> None:
    ds = make.secondary_capture(np.zeros((3, 4, 4), np.uint8))
    work = RealWork(tmp_path / "out")
    work.out.mkdir()
    Png(animated=True).run(batch_of([make.write(ds, tmp_path / "a.dcm")]), work)
    assert "1 instances: no frame time in the header: frames of the animation stay 100 ms" in work.notes


def test_what_cannot_be_shown_is_held_alone_and_leaves_no_file(tmp_path: Path) -> None:
    series = windowed(make.ct_series(4))
    broken(series[1])
    series[2].RescaleSlope = 0
    empty = make.ct_series(1, series="empty")[0]
    del empty.PixelData
    batch, result, found = drawn([*series, empty], tmp_path)
    assert len(found) == 2
    reasons = {held.sources: held.reason for held in result.held}
    assert "frame 1" in reasons[batch.items[1].sources]
    assert "'Rescale Slope' is 0" in reasons[batch.items[2].sources]
    assert reasons[batch.items[4].sources] == "no pixel data"
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize("step", [Png(), Png(show="montage")])
def test_what_is_no_image_passes_on_without_a_picture(step: Png, tmp_path: Path) -> None:
    batch, result, found = drawn([make.report(), *windowed(make.ct_series(1))], tmp_path, step)
    assert result.items[:2] == batch.items
    assert result.held == ()
    assert len(found) == 1


def test_a_frame_that_fails_late_takes_back_the_files_of_its_instance(tmp_path: Path) -> None:
    ds = make.instance(make.CT_IMAGE)
    make.set_pixels(ds, np.stack([make.picture(8, 8, seed=n) for n in range(3)]))
    ds.WindowCenter, ds.WindowWidth = 40, 400
    coded = [bytes(imagecodecs.jpegls_encode(frame.view(np.uint16))) for frame in ds.pixel_array]
    ds.PixelData = encapsulate([*coded[:2], coded[2][:20]])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = JPEGLSLossless
    _, result, found = drawn([ds], tmp_path)
    assert found == []
    assert "frame 3" in result.held[0].reason
    assert not list((tmp_path / "out").iterdir())


def test_a_second_instance_with_one_uid_is_held_and_replaces_nothing(tmp_path: Path) -> None:
    a, b = windowed([make.ct_series(1)[0], make.ct_series(1)[0]])
    b.WindowCenter = 0
    _, result, found = drawn([a, b], tmp_path)
    assert len(found) == 1
    assert "SOP Instance UID" in result.held[0].reason


def test_the_middle_slice_is_in_the_middle_of_the_stack_not_of_the_files(tmp_path: Path) -> None:
    series = windowed(make.ct_series(5, pixel_spacing=(1, 1)))
    shuffled = [series[n] for n in (4, 2, 0, 3, 1)]
    for number, ds in enumerate(shuffled, 1):
        ds.InstanceNumber = number
    batch, result, (found,) = drawn(shuffled, tmp_path, Png(show="middle"))
    (preview,) = pictures(result)
    assert preview.path.name.endswith("_middle.png")
    assert set(preview.sources) == {source for item in batch.items for source in item.sources}
    _, _, (alone,) = drawn([series[2]], tmp_path / "alone")
    np.testing.assert_array_equal(found, alone)


def test_a_montage_has_slices_from_first_to_last(tmp_path: Path) -> None:
    series = make.ct_series(9, rows=6, columns=6, pixel_spacing=(1, 1))
    for k, ds in enumerate(series):
        make.set_pixels(ds, np.full((6, 6), 100 * k, np.int16))
        ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = -624, 800, "LINEAR_EXACT"
    _, result, (found,) = drawn(series[::-1], tmp_path, Png(show="montage", tiles=9))
    assert found.shape == (18, 18)
    tiles = found.reshape(3, 6, 3, 6)[:, 0, :, 0].ravel().tolist()
    assert tiles == [round(255 * k / 8) for k in range(9)]
    assert pictures(result)[0].path.name.endswith("_montage.png")


def test_slices_of_a_montage_are_evenly_spread() -> None:
    frames = [(n, 0) for n in range(10)]
    assert [n for n, _ in spread(frames, 3)] == [1, 5, 8]
    assert [n for n, _ in spread(frames, 50)] == list(range(10))


def test_slices_without_a_window_share_one_in_a_montage(tmp_path: Path) -> None:
    series = make.ct_series(4, rows=4, columns=4, pixel_spacing=(1, 1))
    for k, ds in enumerate(series):
        make.set_pixels(ds, np.full((4, 4), 1000 * k, np.int16))
    _, _, (found,) = drawn(series, tmp_path, Png(show="montage", percentiles=(0, 100)))
    assert found[::4, ::4].ravel().tolist() == [0, 85, 170, 255]


def test_a_preview_does_without_an_instance_that_cannot_be_decoded(tmp_path: Path) -> None:
    series = windowed(make.ct_series(5))
    broken(series[2])
    batch, result, found = drawn(series, tmp_path, Png(show="middle"))
    assert [held.sources for held in result.held] == [batch.items[2].sources]
    (preview,) = pictures(result)
    assert not set(batch.items[2].sources) & set(preview.sources)
    assert len(found) == 1


def test_a_named_window_holds_a_series_that_is_not_in_hounsfield_units(tmp_path: Path) -> None:
    series = make.ct_series(4)
    for ds in series:
        ds.RescaleType = "US"
    for step in (Png(window="lung"), Png(window="lung", show="montage")):
        _, result, found = drawn(series, tmp_path / step.show, step)
        assert found == []
        assert len(result.held) == 4
        assert all("Hounsfield" in held.reason for held in result.held)


def test_each_series_has_its_own_preview_and_a_series_of_nothing_has_none(tmp_path: Path) -> None:
    lost = make.ct_series(1, series="lost")
    broken(lost[0])
    series = [*windowed(make.ct_series(2)), *windowed(make.ct_series(2, series="other")), *lost]
    _, result, found = drawn(series, tmp_path, Png(show="middle"))
    assert len(found) == 2
    assert len(result.held) == 1


@pytest.mark.parametrize(("step", "whole"), [(Png(), False), (Png(show="middle"), True), (Png(show="montage"), True)])
def test_only_previews_need_the_whole_unit(step: Png, whole: bool) -> None:
    assert step.whole is whole
    assert pickle.loads(pickle.dumps(step)) == step


def test_nothing_identifies_after_anonymize(tmp_path: Path) -> None:
    secrets = (b"Invented", b"nvented", b"T-0001", b"A0001", b"19500102", b"20200102", b"CHEST", b"Nobody")
    batch = batch_of(make.write_all(windowed(make.ct_series(3)), tmp_path / "in"))
    clean = run_step(Anonymize(), batch, tmp_path / "clean", {"secret": SECRET})
    for step in (Png(), Png(show="montage"), Png(show="middle", bits=16)):
        result = run_step(step, clean, tmp_path / repr(step.show))
        assert result.disclosure is clean.disclosure
        for item in pictures(result):
            data = item.path.read_bytes()
            assert {kind for kind, _ in chunks(data)} == {b"IHDR", b"IDAT", b"IEND"}
            for secret in secrets:
                assert secret not in data + item.path.name.encode()
            for ds in make.ct_series(3):
                assert make.uid("study", "series")[:12] not in item.path.name
                assert ds.SOPInstanceUID not in item.path.name
            assert not Image.open(io.BytesIO(data)).info


def test_a_repeat_gives_the_same_files(tmp_path: Path) -> None:
    batch = batch_of(make.write_all(windowed(make.ct_series(2)), tmp_path / "in"))
    first = run_step(Png(), batch, tmp_path)
    before = {item.path.name: item.path.read_bytes() for item in pictures(first)}
    assert run_step(Png(), batch, tmp_path) == first
    assert {item.path.name: item.path.read_bytes() for item in pictures(first)} == before


def test_what_was_held_before_stays_held(tmp_path: Path) -> None:
    before = Batch(items=(), held=(Held(sources=(ReceiptId("h"),), reason="why"),), dropped=(ReceiptId("d"),))
    assert run_step(Png(), before, tmp_path) == before


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Png(window=(40, 0)), "at least 1 wide"),
        (Png(window=(40, 0), function="SIGMOID"), "at least 1 wide, the others more than 0"),
        (Png(function="SIGMOID"), "window of two numbers"),
        (Png(percentiles=(99, 1)), "percentiles"),
        (Png(longest=-1), "longest"),
        (Png(tiles=0), "tiles"),
        (Png(animated=True, show="middle"), "does not move"),
    ],
)
def test_an_option_that_means_nothing_is_named(step: Png, words: str, tmp_path: Path) -> None:
    assert any(words in problem for problem in step.problems())
    with pytest.raises(CannotSucceed):
        run_step(step, batch_of([]), tmp_path)


@pytest.mark.parametrize(
    ("written", "step"),
    [
        ("png", Png()),
        ("png: montage", Png(show="montage")),
        ("png: {window: [40, 400], bits: 16}", Png(window=(40, 400), bits=16)),
        ("png: {window: lung, percentiles: [5, 95]}", Png(window="lung", percentiles=(5, 95))),
    ],
)
def test_it_is_written_in_rules_and_kept_in_the_plan_of_a_job(written: str, step: Png, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "node: {ae_title: NODE, listen: 127.0.0.1:11112}\n"
        f"routes: [{{name: r, when: always, steps: [{written if ':' not in written else '{' + written + '}'}]}}]\n"
    )
    (route,) = load(rules, STEPS).routes
    assert route.chain == (step,)
    assert thaw(freeze(route), STEPS) == (step,)


@pytest.mark.parametrize("folder", several_real_folders())
def test_real_images_have_a_picture_or_a_reason(folder: Path, tmp_path: Path) -> None:
    paths = sorted(folder.iterdir())[:12]
    batch = batch_of(paths)
    for step in (Png(), Png(show="montage", tiles=4)):
        result = run_step(step, batch, tmp_path / step.show)
        reasons = {held.reason for held in result.held}
        # ct_16ts is one instance in many encodings
        assert reasons <= {"another instance of the batch has its SOP Instance UID"}, reasons
        for item in pictures(result):
            picture = imagecodecs.png_decode(item.path.read_bytes())
            assert picture.max() > picture.min()  # not one grey
        check_contract(step, batch, result, tmp_path / step.show / "out")


def test_a_real_ct_is_what_pydicom_shows(tmp_path: Path) -> None:
    paths = sorted(real("ct_straight_28").iterdir())[:2]
    result = run_step(Png(window="brain"), batch_of(paths), tmp_path)
    for path, item in zip(paths, pictures(result), strict=True):
        ds = pydicom.dcmread(path)
        hu = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
        expected = np.rint(np.clip((hu - 0) / 79, 0, 1) * 255)
        np.testing.assert_array_equal(imagecodecs.png_decode(item.path.read_bytes()), expected)


def test_a_picture_of_one_pixel_in_colour_by_plane_is_drawn(tmp_path: Path) -> None:
    ds = make.secondary_capture(np.array([[[10, 200, 30]]], np.uint8))
    ds.PlanarConfiguration = 1
    _, result, (picture,) = drawn([ds], tmp_path)
    assert result.held == ()
    assert picture.tolist() == [[[10, 200, 30]]]
