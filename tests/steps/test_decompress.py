"""decompress: Explicit VR Little Endian, the same instance, the same pixels; what cannot be is held alone."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    MPEG2MPML,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from node.imaging.layout import DEFLATED_FRAMES, ENCAPSULATED_UNCOMPRESSED
from node.imaging.pixels import read_header
from node.model import Batch, Disclosure, Held, Item, Kind, ReceiptId
from node.steps.decompress import Decompress
from tests import make
from tests.data import real, real_folders
from tests.dicom import big_endian as big
from tests.steps.run_step import batch_of, run_step

STEP = Decompress()


def compressed(ds: FileDataset, syntax: str, *coded: bytes) -> FileDataset:
    ds.PixelData = encapsulate(list(coded))
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = syntax
    return ds


def jpeg_ls(ds: FileDataset) -> FileDataset:
    return compressed(ds, JPEGLSLossless, bytes(imagecodecs.jpegls_encode(ds.pixel_array.view(np.uint16))))


def one(ds: FileDataset, tmp_path: Path, step: Decompress = STEP) -> tuple[Batch, Dataset | None]:
    result = run_step(step, batch_of([make.write(ds, tmp_path / "in" / "a.dcm")]), tmp_path)
    return result, pydicom.dcmread(result.items[0].path) if result.items else None


def test_a_compressed_instance_keeps_its_identity_and_every_other_element(tmp_path: Path) -> None:
    original = make.ct_series(1)[0]
    original.file_meta.SourceApplicationEntityTitle = "CT1"
    pixels = original.pixel_array.copy()
    before = {element.tag: element.value for element in original if element.keyword != "PixelData"}
    _, found = one(jpeg_ls(original), tmp_path)
    assert found is not None
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert found.file_meta.SourceApplicationEntityTitle == "CT1"
    assert {element.tag: element.value for element in found if element.keyword != "PixelData"} == before
    np.testing.assert_array_equal(found.pixel_array, pixels)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_native_syntaxes_are_rewritten(syntax: str, tmp_path: Path) -> None:
    ds = make.ct_series(1)[0]
    pixels = ds.pixel_array.copy()
    if syntax == ExplicitVRBigEndian:
        ds.PixelData = pixels.astype(">i2").tobytes()
        ds.file_meta.TransferSyntaxUID = syntax
        path = tmp_path / "in" / "a.dcm"
        path.parent.mkdir()
        pydicom.dcmwrite(path, ds, implicit_vr=False, little_endian=False, enforce_file_format=True)
    else:
        ds.file_meta.TransferSyntaxUID = syntax
        path = make.write(ds, tmp_path / "in" / "a.dcm")
    found = pydicom.dcmread(run_step(STEP, batch_of([path]), tmp_path).items[0].path)
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert found.PatientName == "Müster^Invented"
    np.testing.assert_array_equal(found.pixel_array, pixels)


@pytest.mark.parametrize("defined", [True, False])
def test_what_is_written_as_un_in_big_endian_keeps_its_values(tmp_path: Path, defined: bool) -> None:
    inner = big.implicit(0x00280010, b"\2\0") + big.implicit(0x00281201, b"\1\2\3\4")
    path = big.file(
        tmp_path / "a.dcm", make.ct_series(1)[0],
        {
            0x00082112: big.unknown_sequence(0x00082112, inner, defined=defined),
            0x00189087: big.element(0x00189087, "UN", struct.pack("<d", 1000)),
            0x00281201: big.element(0x00281201, "UN", b"\1\2\3\4"),
            0x00281202: big.element(0x00281202, "OW", b"\1\2\3\4"),
        },
    )  # fmt: skip
    (item,) = run_step(STEP, batch_of([path]), tmp_path).items
    found, original = pydicom.dcmread(item.path), make.ct_series(1)[0]
    assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert found.SourceImageSequence[0].Rows == 2
    assert found.SourceImageSequence[0].RedPaletteColorLookupTableData == b"\1\2\3\4"
    assert found.DiffusionBValue == 1000
    assert found.RedPaletteColorLookupTableData == b"\1\2\3\4"
    assert found.GreenPaletteColorLookupTableData == b"\2\1\4\3"
    assert [element for element in found if element.tag in original] == list(original)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_real_image_in_big_endian_comes_out_with_the_values_of_its_implicit_copy(tmp_path: Path) -> None:
    path, copy = (next(real("ct_16ts").glob(f"*{name}*")) for name in ("BigEndianExplicit", "LittleEndianImplicit"))
    (item,) = run_step(STEP, batch_of([path]), tmp_path).items
    found, other = pydicom.dcmread(item.path), pydicom.dcmread(copy)
    wanted = [element for element in other if element.tag.element]  # without group lengths
    assert [element.tag for element in wanted if found[element.tag].value != element.value] == []


def test_what_is_explicit_little_endian_is_the_same_file_under_another_name(tmp_path: Path) -> None:
    result, _ = one(make.ct_series(1)[0], tmp_path)
    assert result.items[0].path.name == "a.dcm"
    assert result.items[0].path.samefile(tmp_path / "in" / "a.dcm")


def test_an_object_without_pixels_passes(tmp_path: Path) -> None:
    ds = make.report()
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    _, found = one(ds, tmp_path)
    assert found is not None
    assert found.SOPInstanceUID == ds.SOPInstanceUID


def test_ybr_becomes_rgb_by_pixel_and_says_so(tmp_path: Path) -> None:
    flat = np.zeros((16, 16, 3), np.uint8)
    flat[:] = (200, 40, 90)
    ds = make.secondary_capture(flat)
    ds.PhotometricInterpretation, ds.PlanarConfiguration = "YBR_FULL_422", 1
    coded = bytes(imagecodecs.jpeg8_encode(flat, level=100, colorspace="RGB", outcolorspace="YCBCR"))
    _, found = one(compressed(ds, JPEGBaseline8Bit, coded), tmp_path)
    assert found is not None
    assert (found.PhotometricInterpretation, found.PlanarConfiguration) == ("RGB", 0)
    assert np.abs(found.pixel_array.astype(int) - flat).max() <= 3


@pytest.mark.parametrize("flag", ["01", None])
def test_lossy_stays_lossy_after_its_syntax_is_gone(flag: str | None, tmp_path: Path) -> None:
    grey = np.full((16, 16), 100, np.uint8)
    ds = make.secondary_capture(grey)
    if flag:
        ds.LossyImageCompression, ds.LossyImageCompressionMethod = flag, "ISO_10918_1"
    _, found = one(compressed(ds, JPEGBaseline8Bit, bytes(imagecodecs.jpeg8_encode(grey))), tmp_path)
    assert found is not None
    assert (found.LossyImageCompression, found.LossyImageCompressionMethod) == ("01", "ISO_10918_1")


def test_lossless_does_not_become_lossy(tmp_path: Path) -> None:
    _, found = one(jpeg_ls(make.ct_series(1)[0]), tmp_path)
    assert found is not None
    assert "LossyImageCompression" not in found


def test_keep_lossy_leaves_lossy_instances_alone(tmp_path: Path) -> None:
    grey = np.full((16, 16), 100, np.uint8)
    ds = compressed(make.secondary_capture(grey), JPEGBaseline8Bit, bytes(imagecodecs.jpeg8_encode(grey)))
    _, found = one(ds, tmp_path, Decompress(keep_lossy=True))
    assert found is not None
    assert found.file_meta.TransferSyntaxUID == JPEGBaseline8Bit


def test_a_palette_stays_a_palette(tmp_path: Path) -> None:
    ds = make.secondary_capture(np.arange(64, dtype=np.uint8).reshape(8, 8), photometric="PALETTE COLOR")
    ds.RedPaletteColorLookupTableDescriptor = [256, 0, 16]
    ds.RedPaletteColorLookupTableData = bytes(512)
    ds.compress(RLELossless, generate_instance_uid=False)
    _, found = one(ds, tmp_path)
    assert found is not None
    assert found.PhotometricInterpretation == "PALETTE COLOR"
    assert found.RedPaletteColorLookupTableData == bytes(512)
    assert bytes(found.PixelData) == bytes(range(64))


def test_an_odd_number_of_bytes_is_padded(tmp_path: Path) -> None:
    odd = np.arange(15, dtype=np.uint8).reshape(3, 5)
    ds = make.secondary_capture(odd)
    ds.compress(RLELossless, generate_instance_uid=False)
    _, found = one(ds, tmp_path)
    assert found is not None
    assert bytes(found.PixelData) == bytes(range(15)) + b"\0"


def test_one_bad_frame_holds_its_instance_alone(tmp_path: Path) -> None:
    series = [jpeg_ls(ds) for ds in make.ct_series(3)]
    cut = bytes(imagecodecs.jpegls_encode(np.arange(120, dtype=np.uint16).reshape(12, 10)))[:30]
    compressed(series[1], JPEGLSLossless, cut)
    batch = batch_of(make.write_all(series, tmp_path / "in"))
    result = run_step(STEP, batch, tmp_path)
    assert [item.sources for item in result.items] == [batch.items[0].sources, batch.items[2].sources]
    assert [held.sources for held in result.held] == [batch.items[1].sources]
    assert "frame 1" in result.held[0].reason
    assert JPEGLSLossless in result.held[0].reason
    assert not (tmp_path / "out" / "0002.dcm").exists()


def test_video_is_held_with_its_reason(tmp_path: Path) -> None:
    ds = compressed(make.secondary_capture(np.zeros((8, 8, 3), np.uint8)), MPEG2MPML, b"\0\0\1\xb3")
    result, _ = one(ds, tmp_path)
    assert "video" in result.held[0].reason


def test_what_is_no_dicom_is_held(tmp_path: Path) -> None:
    path = tmp_path / "in.dcm"
    path.write_bytes(b"not DICOM at all" * 20)
    assert "not readable as DICOM" in run_step(STEP, batch_of([path]), tmp_path).held[0].reason


def icon(data: bytes) -> Dataset:
    item = Dataset()
    make.set_pixels(item, np.arange(64, dtype=np.uint8).reshape(8, 8))
    item.PixelData = encapsulate([data])
    item["PixelData"].is_undefined_length = True
    return item


def test_a_compressed_icon_is_decompressed_with_its_image(tmp_path: Path) -> None:
    ds = jpeg_ls(make.ct_series(1)[0])
    picture = np.arange(64, dtype=np.uint8).reshape(8, 8)
    ds.IconImageSequence = Sequence([icon(bytes(imagecodecs.jpegls_encode(picture)))])
    _, found = one(ds, tmp_path)
    assert found is not None
    assert bytes(found.IconImageSequence[0].PixelData) == picture.tobytes()


def test_an_icon_that_cannot_be_decoded_is_dropped_and_the_image_goes_on(tmp_path: Path) -> None:
    ds = jpeg_ls(make.ct_series(1)[0])
    ds.IconImageSequence = Sequence([icon(b"rubbish!")])
    _, found = one(ds, tmp_path)
    assert found is not None
    assert "IconImageSequence" not in found
    assert found.pixel_array.shape == (12, 10)


def test_what_was_held_dropped_and_disclosed_before_is_carried_on(tmp_path: Path) -> None:
    path = make.write(make.ct_series(1)[0], tmp_path / "in" / "a.dcm")
    before = Held(sources=(ReceiptId("f" * 32),), reason="earlier")
    batch = Batch(
        items=(Item(path=path, kind=Kind.DICOM, sources=(ReceiptId("1" * 32),)),),
        held=(before,),
        dropped=(ReceiptId("2" * 32),),
        disclosure=Disclosure.DEIDENTIFIED,
    )
    result = run_step(STEP, batch, tmp_path)
    assert (result.held, result.dropped, result.disclosure) == ((before,), batch.dropped, Disclosure.DEIDENTIFIED)


def test_a_repeat_gives_the_same_files_and_leaves_the_input_as_it_was(tmp_path: Path) -> None:
    series = make.ct_series(2)
    paths = make.write_all([jpeg_ls(series[0]), series[1]], tmp_path / "in")
    before = [path.read_bytes() for path in paths]
    first = [item.path.read_bytes() for item in run_step(STEP, batch_of(paths), tmp_path).items]
    second = run_step(STEP, batch_of(paths), tmp_path)
    assert [item.path.read_bytes() for item in second.items] == first
    assert [path.read_bytes() for path in paths] == before


def test_two_inputs_of_one_name_become_two_files(tmp_path: Path) -> None:
    series = make.ct_series(2)
    paths = [make.write(series[0], tmp_path / "a" / "x.dcm"), make.write(series[1], tmp_path / "b" / "x.dcm")]
    found = [pydicom.dcmread(item.path).InstanceNumber for item in run_step(STEP, batch_of(paths), tmp_path).items]
    assert found == [1, 2]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "name",
    ["SC_rgb_rle_16bit_2frame.dcm", "examples_jpeg2k.dcm", "rtdose_expb.dcm", "image_dfl.dcm", "SC_rgb_jpeg.dcm"],
)
def test_pydicom_reads_the_same_pixels_before_and_after(name: str, tmp_path: Path) -> None:
    source = Path(str(get_testdata_file(name)))
    found = run_step(STEP, batch_of([source]), tmp_path).items[0].path
    np.testing.assert_array_equal(pydicom.dcmread(found).pixel_array, pydicom.dcmread(source).pixel_array)


def test_every_real_image_comes_out_with_the_pixels_it_had(tmp_path: Path) -> None:
    folders = [folder for folder in real_folders() if folder.name in ("ct_16ts", "rgb_series", "rt_small", "segs")]
    if not folders:
        pytest.skip("real images are not here")
    paths = [path for folder in folders for path in sorted(folder.iterdir())]
    batch = batch_of(paths)
    result = run_step(STEP, batch, tmp_path)
    assert result.held == ()
    for item, path in zip(result.items, paths, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            before, after = read_header(path)[1], read_header(item.path)[1]
        assert (before is None) == (after is None)
        if before and after:
            assert after.layout.transfer_syntax == ExplicitVRLittleEndian
            for a, b in zip(before.frames(), after.frames(), strict=True):
                np.testing.assert_array_equal(a, b, err_msg=path.name)


def test_jpeg_2000_colour_transform_is_undone_and_no_longer_claimed(tmp_path: Path) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (12, 14, 3)).astype(np.uint8)
    ds = make.secondary_capture(pixels, photometric="YBR_RCT")
    coded = bytes(imagecodecs.jpeg2k_encode(pixels, reversible=True, codecformat="J2K", mct=True))
    _, found = one(compressed(ds, JPEG2000Lossless, coded), tmp_path)
    assert found is not None
    assert found.PhotometricInterpretation == "RGB"
    np.testing.assert_array_equal(found.pixel_array, pixels)


def test_frames_of_one_bit_that_were_deflated_are_packed_again(tmp_path: Path) -> None:
    bits = np.random.default_rng(3).integers(0, 2, (3, 5, 7)).astype(np.uint8)
    ds = make.secondary_capture(bits)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    deflaters = [zlib.compressobj(wbits=-15) for _ in bits]
    frames = [
        deflater.compress(np.packbits(frame, bitorder="little").tobytes()) + deflater.flush()
        for deflater, frame in zip(deflaters, bits, strict=True)
    ]
    ds.file_meta.TransferSyntaxUID = ENCAPSULATED_UNCOMPRESSED
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].is_undefined_length = True
    path = make.write(ds, tmp_path / "in" / "a.dcm")
    # pydicom does not write the syntax yet, whose UID is one character shorter.
    path.write_bytes(path.read_bytes().replace(ENCAPSULATED_UNCOMPRESSED.encode(), DEFLATED_FRAMES.encode() + b"\0"))
    found = pydicom.dcmread(run_step(STEP, batch_of([path]), tmp_path).items[0].path)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    assert bytes(found.PixelData) == packed + bytes(len(packed) % 2)
    assert "LossyImageCompression" not in found
