"""The nifti step: volumes from DICOM series, exact in place and value, or held."""

from node.steps.nifti.step import Nifti

__all__ = ["Nifti"]
