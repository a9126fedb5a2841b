"""What leaves the node: parcels from the outbox to a DICOM peer or a folder."""
