"""dicom-node: a DICOM network node that processes on receipt."""

__version__ = "0.1.0"
