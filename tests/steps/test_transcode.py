"""Every instance in one transfer syntax: the same sample by sample, or a new one that says what it lost, or held."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    JPEG2000,
    MPEG2MPML,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)  # fmt: skip

from node.errors import CannotSucceed
from node.imaging import capabilities
from node.imaging.capabilities import Capability
from node.imaging.pixels import read_header
from node.imaging.same import same_pixels
from node.imaging.targets import TARGETS
from node.model import Batch
from node.steps.transcode import Transcode
from tests import make
from tests.steps.run_step import batch_of, run_step

RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8)

LOSSLESS = [name for name, target in TARGETS.items() if not target.lossy]
COMPRESSED = [name for name in LOSSLESS if TARGETS[name].encapsulated]
LOSSY = [name for name, target in TARGETS.items() if target.lossy]


def one(ds: FileDataset, tmp_path: Path, **options: Any) -> tuple[Batch, FileDataset | None]:
    path = make.write(ds, tmp_path / "in" / "a.dcm")
    result = run_step(Transcode(**options), batch_of([path]), tmp_path)
    return result, pydicom.dcmread(result.items[0].path) if result.items else None


def colour(photometric: str = "RGB") -> FileDataset:
    grey = make.picture(32, 40, low=0, high=250).astype(np.uint8)
    return make.secondary_capture(np.stack([grey, grey // 2, grey[::-1]], -1), photometric=photometric)


@pytest.mark.parametrize("name", LOSSLESS)
@pytest.mark.parametrize("kind", ["ct", "enhanced", "colour", "ybr", "palette", "implicit"])
def test_without_loss_the_instance_is_the_same_and_so_is_every_sample(name: str, kind: str, tmp_path: Path) -> None:
    ds = {
        "ct": lambda: make.ct_series(1)[0],
        "enhanced": make.enhanced_mr,
        "colour": colour,
        "ybr": lambda: colour("YBR_FULL"),
        "palette": lambda: make.secondary_capture(RAMP, photometric="PALETTE COLOR"),
        "implicit": lambda: implicit(make.ct_series(1)[0]),
    }[kind]()  # fmt: skip
    before = make.write(ds, tmp_path / "before.dcm")
    result, found = one(ds, tmp_path, to=name)
    assert found is not None, result.held
    assert found.SOPInstanceUID == found.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
    assert found.file_meta.TransferSyntaxUID == TARGETS[name].uid
    assert same_pixels(before, result.items[0].path)
    assert "LossyImageCompression" not in found
    changed = {"PixelData", "PhotometricInterpretation", "PlanarConfiguration"}
    was, now = ({e.keyword: e for e in each if e.keyword not in changed} for each in (pydicom.dcmread(before), found))
    assert now == was


def implicit(ds: FileDataset) -> FileDataset:
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return ds


@pytest.mark.parametrize(
    ("name", "rgb", "ybr"),
    [
        ("rle", "RGB", "YBR_FULL"), ("jpeg-lossless", "RGB", "YBR_FULL"), ("jpeg-ls", "RGB", "YBR_FULL"),
        ("jpeg-2000", "YBR_RCT", "YBR_FULL"), ("htj2k", "YBR_RCT", "YBR_FULL"), ("explicit", "RGB", "YBR_FULL"),
        ("jpeg-baseline", "YBR_FULL_422", "YBR_FULL_422"), ("jpeg-2000-lossy", "YBR_ICT", "YBR_FULL"),
    ],
)  # fmt: skip
def test_colour_is_called_what_the_coding_makes_of_it(name: str, rgb: str, ybr: str, tmp_path: Path) -> None:
    """PS3.5 8.2: the photometric interpretation is that of the codestream."""
    options = {"ratio": 2.0} if TARGETS[name].lossy else {}
    for photometric, expected in (("RGB", rgb), ("YBR_FULL", ybr)):
        _, found = one(colour(photometric), tmp_path / photometric, to=name, **options)
        assert found is not None
        assert found.PhotometricInterpretation == expected
        assert found.PlanarConfiguration == 0


def test_half_colour_and_planes_become_three_samples_for_each_pixel(tmp_path: Path) -> None:
    ds = colour()
    planar = np.frombuffer(ds.PixelData, np.uint8).reshape(32, 40, 3).transpose(2, 0, 1)
    ds.PixelData, ds.PlanarConfiguration = planar.tobytes(), 1
    halved = colour("YBR_FULL_422")
    halved.PixelData = bytes(range(256)) * 10
    for given, expected in ((ds, "RGB"), (halved, "YBR_FULL")):
        before = make.write(given, tmp_path / "before.dcm")
        result, found = one(given, tmp_path / expected, to="jpeg-ls")
        assert found is not None
        assert (found.PhotometricInterpretation, found.PlanarConfiguration) == (expected, 0)
        assert same_pixels(before, result.items[0].path)


@pytest.mark.parametrize("source", COMPRESSED)
@pytest.mark.parametrize("name", LOSSLESS)
def test_every_syntax_becomes_every_other_and_comes_back(source: str, name: str, tmp_path: Path) -> None:
    before = make.write(make.enhanced_mr(), tmp_path / "a.dcm")
    first = run_step(Transcode(to=source), batch_of([before]), tmp_path / "1").items
    second = run_step(Transcode(to=name), batch_of([first[0].path]), tmp_path / "2").items
    back = run_step(Transcode(to="explicit"), batch_of([second[0].path]), tmp_path / "3").items
    assert pydicom.dcmread(second[0].path).file_meta.TransferSyntaxUID == TARGETS[name].uid
    assert pydicom.dcmread(back[0].path).PixelData == make.enhanced_mr().PixelData


def test_each_frame_is_one_fragment_and_the_table_leads_to_it(tmp_path: Path) -> None:
    _, found = one(make.enhanced_mr(), tmp_path, to="jpeg-ls")
    assert found is not None
    coded = list(generate_frames(found.PixelData, number_of_frames=8))
    assert all(frame.startswith(b"\xff\xd8") for frame in coded)
    assert found.PixelData[4:8] == (4 * 8).to_bytes(4, "little")
    assert found["PixelData"].VR == "OB"


def test_an_old_offset_table_goes_with_the_frames_it_was_for(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.compress(RLELossless, generate_instance_uid=False)
    ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = bytes(8), bytes(8)
    _, found = one(ds, tmp_path, to="htj2k")
    assert found is not None
    assert "ExtendedOffsetTable" not in found


@pytest.mark.parametrize("name", LOSSY)
def test_with_loss_the_instance_is_a_new_one_and_keeps_to_its_ratio(name: str, tmp_path: Path) -> None:
    picture = make.picture(64, 80, low=0, high=250)
    ds = make.secondary_capture(picture.astype(np.uint8) if name == "jpeg-baseline" else picture.astype(np.uint16))
    _, found = one(ds, tmp_path, to=name, ratio=4.0)
    assert found is not None
    assert found.SOPInstanceUID == found.file_meta.MediaStorageSOPInstanceUID != ds.SOPInstanceUID
    assert found.SourceImageSequence[0].ReferencedSOPInstanceUID == ds.SOPInstanceUID
    assert found.LossyImageCompressionMethod == TARGETS[name].method
    ratio = float(found.LossyImageCompressionRatio)
    assert ratio >= 4
    (frame,) = generate_frames(found.PixelData, number_of_frames=1)
    assert ratio == pytest.approx(len(ds.PixelData) / len(frame), rel=0.02)
    pixels = read_header(tmp_path / "out" / "a.dcm")[1]
    assert pixels is not None
    assert np.abs(next(pixels.frames()).astype(int) - picture).max() < 60


def test_near_lossless_says_how_near_and_has_room_for_it(tmp_path: Path) -> None:
    ds = make.secondary_capture(make.picture(64, 80, low=0, high=4095).astype(np.uint16), bits_stored=12)
    _, found = one(ds, tmp_path, to="jpeg-ls-near", near=3)
    assert found is not None
    assert "near 3" in found.DerivationDescription
    assert (found.BitsStored, found.HighBit) == (16, 15)
    pixels = read_header(tmp_path / "out" / "a.dcm")[1]
    assert pixels is not None
    assert np.abs(next(pixels.frames()).astype(int) - np.frombuffer(ds.PixelData, np.uint16).reshape(64, 80)).max() <= 3


def test_a_repeat_gives_the_same_file_and_leaves_the_input_as_it_was(tmp_path: Path) -> None:
    path = make.write(make.ct_series(1, rows=64, columns=64)[0], tmp_path / "a.dcm")
    before = path.read_bytes()
    step = Transcode(to="jpeg-2000-lossy", ratio=3.0)
    found = [run_step(step, batch_of([path]), tmp_path).items[0].path.read_bytes() for _ in range(2)]
    assert found[0] == found[1]
    assert path.read_bytes() == before


def test_what_is_there_already_is_the_same_file(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.compress(RLELossless, generate_instance_uid=False)
    result, _ = one(ds, tmp_path, to="rle")
    assert result.items[0].path.samefile(tmp_path / "in" / "a.dcm")


def test_what_is_lossy_in_the_syntax_already_is_not_compressed_once_more(tmp_path: Path) -> None:
    ds = lossy_jpeg()
    result, found = one(ds, tmp_path, to="jpeg-baseline", ratio=10.0)
    assert found is not None
    assert result.items[0].path.samefile(tmp_path / "in" / "a.dcm")


def lossy_jpeg() -> FileDataset:
    grey = make.picture(32, 40, low=0, high=250).astype(np.uint8)
    ds = make.secondary_capture(grey)
    ds.PixelData = encapsulate([bytes(imagecodecs.jpeg8_encode(grey, level=90))])
    ds["PixelData"].is_undefined_length = True
    ds["PixelData"].VR = "OB"
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.LossyImageCompression = "01"
    return ds


def test_lossy_pixels_without_further_loss_stay_lossy(tmp_path: Path) -> None:
    ds = lossy_jpeg()
    del ds.LossyImageCompression
    before = make.write(ds, tmp_path / "before.dcm")
    result, found = one(ds, tmp_path, to="jpeg-ls")
    assert found is not None
    assert same_pixels(before, result.items[0].path)
    assert (found.LossyImageCompression, found.LossyImageCompressionMethod) == ("01", "ISO_10918_1")
    assert float(found.LossyImageCompressionRatio) > 1
    assert found.SOPInstanceUID == ds.SOPInstanceUID


def test_keep_lossy_leaves_lossy_instances_alone(tmp_path: Path) -> None:
    _, found = one(lossy_jpeg(), tmp_path, to="htj2k", keep_lossy=True)
    assert found is not None
    assert found.file_meta.TransferSyntaxUID == JPEGBaseline8Bit


@pytest.mark.parametrize("name", COMPRESSED)
def test_an_object_without_pixels_becomes_explicit(name: str, tmp_path: Path) -> None:
    """Its transfer syntax says how the data set is written, and that is explicit little endian (PS3.5 A.4)."""
    _, found = one(implicit(make.report()), tmp_path, to=name)
    assert found is not None
    assert found.file_meta.TransferSyntaxUID == TARGETS["explicit"].uid
    result, _ = one(make.report(), tmp_path, to=name)
    assert result.items[0].path.samefile(tmp_path / "in" / "a.dcm")


def segmentation() -> FileDataset:
    ds = make.secondary_capture(np.zeros((2, 8, 8), np.uint8))
    ds.BitsAllocated = ds.BitsStored = 1
    ds.HighBit, ds.PixelData = 0, bytes(range(16))
    return ds


def floating() -> FileDataset:
    ds = make.ct_series(1)[0]
    ds.FloatPixelData, ds.BitsAllocated = np.arange(120, dtype=np.float32).tobytes(), 32
    del ds.PixelData
    return ds


def overlaid() -> FileDataset:
    ds = make.ct_series(1)[0]
    ds.add_new(0x60000100, "US", 16)
    ds.add_new(0x60000102, "US", 12)
    return ds


def padded() -> FileDataset:
    """63536 in 16 bits is -2000, which some scanners put outside of the picture of 12 unsigned bits."""
    ds = make.secondary_capture(np.full((8, 8), 63536, np.uint16), bits_stored=12)
    ds.PixelPaddingValue = 63536
    return ds


@pytest.mark.parametrize("filled", [0, 0xF000])
def test_signs_above_bits_stored_may_be_there_or_not(filled: int, tmp_path: Path) -> None:
    twelve = np.array([[-1, -2048], [5, 2047]], np.int16).view(np.uint16) & 0x0FFF
    ds = make.secondary_capture(twelve.view(np.int16), bits_stored=12)
    ds.PixelData = (twelve | np.where(twelve & 0x0800, np.uint16(filled), np.uint16(0))).tobytes()
    before = make.write(ds, tmp_path / "before.dcm")
    result, _ = one(ds, tmp_path, to="htj2k")
    assert same_pixels(before, result.items[0].path)


@pytest.mark.parametrize(
    ("make_it", "reason"),
    [
        (padded, "bits above the 12 'Bits Stored' are in use"),
        (segmentation, "pixels of one bit"),
        (floating, "floating point"),
        (overlaid, "an overlay lies in unused bits"),
    ],
)
def test_what_the_syntax_cannot_hold_is_held_or_written_uncompressed(make_it: Any, reason: str, tmp_path: Path) -> None:
    result, _ = one(make_it(), tmp_path, to="jpeg-ls")
    assert reason in result.held[0].reason
    assert list((tmp_path / "out").iterdir()) == []
    result, found = one(implicit(make_it()), tmp_path, to="jpeg-ls", rest="explicit")
    assert found is not None
    assert found.file_meta.TransferSyntaxUID == TARGETS["explicit"].uid
    assert found.get("PixelData") == make_it().get("PixelData")


def test_what_is_damaged_is_held_whatever_the_rest_is(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    ds.PixelData = ds.PixelData[:50]
    result, _ = one(ds, tmp_path, to="jpeg-ls", rest="explicit")
    assert "end before it does" in result.held[0].reason
    result, _ = one(ds, tmp_path, to="explicit")
    assert result.items, "nothing is decoded"


def coded(syntax: str, *frames: bytes) -> FileDataset:
    """A 64 x 48 image of bytes whose frames are said to be these."""
    ds = make.secondary_capture(np.zeros((64, 48), np.uint8))
    ds.NumberOfFrames = max(len(frames), 1)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate(list(frames)) if frames else b"\xfe\xff\x00\xe0\0\0\0\0"
    ds["PixelData"].is_undefined_length = True
    ds["PixelData"].VR = "OB"
    return ds


PICTURE = make.picture(64, 48, low=0, high=250).astype(np.uint8)
WIDER = make.picture(64, 50, low=0, high=250).astype(np.uint8)
JPEG_2000 = bytes(imagecodecs.jpeg2k_encode(PICTURE, reversible=True, codecformat="J2K"))
RUNS = b"\x01\0\0\0\x40\0\0\0" + bytes(56) + b"\x81\xff" * 50_000  # 6.4 MB of samples in 100 KB


@pytest.mark.parametrize(
    ("ds", "reason"),
    [
        (lambda: coded(JPEG2000, JPEG_2000[:200]), "frame 1: "),
        (lambda: coded(JPEGLSLossless, bytes(imagecodecs.jpegls_encode(WIDER))), r"announces .*\(64, 50, 1\)"),
        (lambda: coded(RLELossless, RUNS), "frame 1: cannot be decoded"),
        (lambda: coded(JPEG2000, JPEG_2000, b"rubbish!"), "frame 2: no frame header found"),
        (lambda: coded(JPEG2000), "0 fragments"),
        (lambda: coded(MPEG2MPML, b"\0\0\1\xb3"), "is video"),
        (lambda: coded("1.2.840.10008.1.2.4.59", b"\xff\xd8\xff\xd9"), "hierarchical"),
    ],
    ids=["cut short", "lies about its size", "bomb of runs", "second frame", "no fragment", "video", "hierarchical"],
)
@pytest.mark.parametrize("name", ["explicit", "htj2k"])
def test_pixels_that_cannot_be_decoded_with_certainty_are_held(name: str, ds: Any, reason: str, tmp_path: Path) -> None:
    result, _ = one(ds(), tmp_path, to=name, rest="explicit")
    assert re.search(reason, result.held[0].reason), result.held[0].reason
    assert list((tmp_path / "out").iterdir()) == []


def test_one_bad_instance_holds_itself_alone(tmp_path: Path) -> None:
    series = make.ct_series(3)
    series[1].BitsStored = 20
    result = run_step(Transcode(to="htj2k"), batch_of(make.write_all(series, tmp_path / "in")), tmp_path)
    assert [item.path.name for item in result.items] == ["0001.dcm", "0003.dcm"]
    assert "does not fit" in result.held[0].reason


def test_an_icon_stays_uncompressed_beside_its_compressed_image(tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    icon = Dataset()
    make.set_pixels(icon, np.arange(64, dtype=np.uint8).reshape(8, 8))
    ds.IconImageSequence = Items([icon])
    _, found = one(ds, tmp_path, to="jpeg-2000")
    assert found is not None
    assert bytes(found.IconImageSequence[0].PixelData) == bytes(range(64))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"to": "jpeg-ls", "ratio": 10.0}, '"ratio" is not for jpeg-ls'),
        ({"to": "jpeg-2000-lossy"}, "say how much, by ratio"),
        ({"to": "jpeg-ls-near"}, "by ratio or near"),
        ({"to": "jpeg-ls-near", "near": 2, "ratio": 3.0}, "say how much"),
        ({"to": "jpeg-baseline", "quality": 101}, "from 1 to 100"),
        ({"to": "jpeg-ls-near", "near": 128}, "from 1 to 127"),
        ({"to": "jpeg-2000-lossy", "ratio": 0.5}, "above 1"),
        ({"to": "jpeg-2000-lossy", "ratio": float("nan")}, "above 1"),
        ({"to": "jpeg-2000-lossy", "quality": 90}, '"quality" is not for'),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], problem: str) -> None:
    assert any(problem in found for found in Transcode(**options).problems())


@pytest.mark.parametrize("name", TARGETS)
def test_options_that_go_together_are_taken(name: str) -> None:
    assert Transcode(to=name, ratio=10.0 if TARGETS[name].lossy else 0.0).problems() == ()  # type: ignore[arg-type]  # text


def test_what_this_installation_cannot_do_is_refused_before_anything_is_received(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uid = TARGETS["htj2k"].uid
    whole = dict(capabilities.capabilities())
    broken = {**whole, uid: Capability(uid=uid, name=whole[uid].name, decode="", encode="", reason="it is not there")}
    monkeypatch.setattr(capabilities, "capabilities", lambda **_: broken)
    problems = Transcode(to="htj2k").problems()
    assert any("cannot decode High-Throughput" in p and "it is not there" in p for p in problems)
    assert any("cannot encode High-Throughput" in p for p in problems)
    with pytest.raises(CannotSucceed, match="this installation cannot"):
        run_step(Transcode(to="htj2k"), batch_of([make.write(make.ct_series(1)[0], tmp_path / "a.dcm")]), tmp_path)
