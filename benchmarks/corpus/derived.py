"""Objects drawn upon images: structures (RTSTRUCT), a segmentation (SEG) and a presentation state (PR)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as Items

from benchmarks.corpus.documents import Reference
from benchmarks.corpus.study import STORAGE, Series, begin, code, image, item, one, put, uid
from benchmarks.corpus.volumes import SIZE


def rtstruct(series: Series, number: int, images: Sequence[Reference]) -> FileDataset:
    """RT Structure Set (PS3.3 A.19): one contour per image; its names and its label say who the patient is."""
    study, patient = series.study, series.study.patient
    ds = begin(series, STORAGE + "481.3", number)
    put(
        ds, StructureSetLabel=patient.patient_id, StructureSetName=f"plan {patient.patient_id}",
        StructureSetDate=study.da(2), StructureSetTime="090000", FrameOfReferenceUID=study.frame,
        PositionReferenceIndicator="", ApprovalStatus="APPROVED", ReviewerName=study.site.physician.name,
        ReviewDate=study.da(2), ReviewTime="093000",
    )  # fmt: skip
    contours = Items([item(ReferencedSOPClassUID=c, ReferencedSOPInstanceUID=i) for _, c, i in images])
    ds.ReferencedFrameOfReferenceSequence = one(
        FrameOfReferenceUID=study.frame,
        RTReferencedStudySequence=one(
            ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1", ReferencedSOPInstanceUID=study.uid,
            RTReferencedSeriesSequence=one(SeriesInstanceUID=images[0][0], ContourImageSequence=contours),
        ),
    )  # fmt: skip
    ds.StructureSetROISequence = one(
        ROINumber=1, ReferencedFrameOfReferenceUID=study.frame, ROIName="liver", ROIGenerationAlgorithm="MANUAL",
        ROIDescription=f"drawn for {patient.person.plain}"[:64],
    )  # fmt: skip
    ds.ROIContourSequence = one(
        ReferencedROINumber=1, ROIDisplayColor=[255, 0, 0],
        ContourSequence=Items([_contour(one_of, place) for place, one_of in enumerate(images)]),
    )  # fmt: skip
    ds.RTROIObservationsSequence = one(
        ObservationNumber=1, ReferencedROINumber=1, RTROIInterpretedType="ORGAN",
        ROIInterpreter=study.site.operator.name,
    )  # fmt: skip
    return ds


def seg(series: Series, number: int, images: Sequence[Reference]) -> FileDataset:
    """Segmentation (PS3.3 A.51), binary: a frame for each image, eight bits of its pixels in a byte."""
    study = series.study
    ds = begin(series, STORAGE + "66.4", number)
    image(ds, series)
    _segment_image(ds, series, len(images))
    ds.SegmentSequence = Items(
        [
            item(
                SegmentNumber=1, SegmentLabel="liver", SegmentAlgorithmType="MANUAL",
                SegmentDescription=f"lesion {study.patient.person.plain}"[:64],
                SegmentedPropertyCategoryCodeSequence=code("123037004", "SCT", "Anatomical Structure"),
                SegmentedPropertyTypeCodeSequence=code("10200004", "SCT", "Liver"),
                TrackingID=study.patient.patient_id, TrackingUID=uid(series.uid, "tracked"),
            )
        ]
    )  # fmt: skip
    organized = uid(series.uid, "dimensions")
    ds.DimensionOrganizationSequence = one(DimensionOrganizationUID=organized)
    ds.DimensionIndexSequence = one(
        DimensionIndexPointer=0x00200032, FunctionalGroupPointer=0x00209113, DimensionOrganizationUID=organized,
        DimensionDescriptionLabel="Image Position",
    )  # fmt: skip
    references = Items([item(ReferencedSOPClassUID=c, ReferencedSOPInstanceUID=i) for _, c, i in images])
    ds.ReferencedSeriesSequence = one(SeriesInstanceUID=images[0][0], ReferencedInstanceSequence=references)
    ds.SharedFunctionalGroupsSequence = one(
        PlaneOrientationSequence=one(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"]),
        PixelMeasuresSequence=one(PixelSpacing=["1.5", "1.5"], SliceThickness="4"),
        SegmentIdentificationSequence=one(ReferencedSegmentNumber=1),
    )
    ds.PerFrameFunctionalGroupsSequence = Items([_frame(one_of, place) for place, one_of in enumerate(images)])
    return ds


def pr(series: Series, number: int, images: Sequence[Reference]) -> FileDataset:
    """Grayscale Softcopy Presentation State (PS3.3 A.33.1): a line and a text upon the first image."""
    study, patient = series.study, series.study.patient
    ds = begin(series, STORAGE + "11.1", number)
    put(
        ds, PresentationCreationDate=study.da(1), PresentationCreationTime="090000", ContentLabel="ANNOTATED",
        ContentDescription=f"seen by {study.site.physician.plain}", ContentCreatorName=study.site.physician.name,
        PresentationLUTShape="IDENTITY", Laterality="",
    )  # fmt: skip
    first = one(ReferencedSOPClassUID=images[0][1], ReferencedSOPInstanceUID=images[0][2])
    ds.ReferencedSeriesSequence = one(SeriesInstanceUID=images[0][0], ReferencedImageSequence=first)
    ds.DisplayedAreaSelectionSequence = one(
        DisplayedAreaTopLeftHandCorner=[1, 1], DisplayedAreaBottomRightHandCorner=[SIZE, SIZE],
        PresentationSizeMode="SCALE TO FIT", PresentationPixelAspectRatio=["1", "1"],
    )  # fmt: skip
    ds.GraphicLayerSequence = one(GraphicLayer="LAYER1", GraphicLayerOrder=1)
    text = item(
        BoundingBoxAnnotationUnits="PIXEL", UnformattedTextValue=f"lesion of {patient.person.plain}, {patient.phone}",
        BoundingBoxTopLeftHandCorner=[5.0, 5.0], BoundingBoxBottomRightHandCorner=[30.0, 12.0],
        BoundingBoxTextHorizontalJustification="LEFT",
    )  # fmt: skip
    line = item(
        GraphicAnnotationUnits="PIXEL", GraphicDimensions=2, NumberOfGraphicPoints=2, GraphicType="POLYLINE",
        GraphicData=[5.0, 5.0, 20.0, 20.0], GraphicFilled="N",
    )  # fmt: skip
    ds.GraphicAnnotationSequence = one(
        GraphicLayer="LAYER1", TextObjectSequence=Items([text]), GraphicObjectSequence=Items([line])
    )
    return ds


def _contour(image: Reference, place: int) -> Dataset:
    z = str(100 + 4 * place)
    return item(
        ContourImageSequence=one(ReferencedSOPClassUID=image[1], ReferencedSOPInstanceUID=image[2]),
        ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=3,
        ContourData=["-10", "-10", z, "10", "-10", z, "0", "10", z],
    )  # fmt: skip


def _segment_image(ds: Dataset, series: Series, frames: int) -> None:
    study = series.study
    for keyword in ("AcquisitionDate", "AcquisitionTime", "AcquisitionNumber", "PatientOrientation"):
        delattr(ds, keyword)
    put(
        ds, ImageType=["DERIVED", "PRIMARY"], SegmentationType="BINARY", ContentLabel="LIVER",
        ContentDescription=f"made for {study.accession}", ContentCreatorName=study.site.operator.name,
        FrameOfReferenceUID=study.frame, PositionReferenceIndicator="", NumberOfFrames=frames, SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2", Rows=SIZE, Columns=SIZE, BitsAllocated=1, BitsStored=1, HighBit=0,
        PixelRepresentation=0, SegmentsOverlap="NO",
    )  # fmt: skip
    mask = np.zeros((frames, SIZE, SIZE), bool)
    mask[:, 10:30, 12:34] = True
    ds.PixelData = np.packbits(mask.ravel(), bitorder="little").tobytes()
    ds["PixelData"].VR = "OB"


def _frame(source: Reference, place: int) -> Dataset:
    derivation = item(
        DerivationCodeSequence=code("113076", "DCM", "Segmentation"),
        SourceImageSequence=one(
            ReferencedSOPClassUID=source[1], ReferencedSOPInstanceUID=source[2],
            PurposeOfReferenceCodeSequence=code("121322", "DCM", "Source image for image processing operation"),
        ),
    )  # fmt: skip
    return item(
        FrameContentSequence=one(DimensionIndexValues=place + 1),
        PlanePositionSequence=one(ImagePositionPatient=["-36", "-36", str(100 + 4 * place)]),
        DerivationImageSequence=Items([derivation]),
    )
