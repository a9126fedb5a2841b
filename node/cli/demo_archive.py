"""The other ends of the demo: an archive that takes what the node sends, and the images to send."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from node.deliver.base import Parcel
    from node.model import Identity


class Archive:
    """A storage SCP that writes what it gets into a folder: the node's own receiver with another keeper."""

    def __init__(self, folder: Path) -> None:
        from node.config import Node
        from node.receive.places import Admitted
        from node.receive.scp import Receiver
        from node.receive.session import Sessions

        folder.mkdir(parents=True)
        node = Node(ae_title=("ARCHIVE",))
        self.keeper = Shelf(folder)
        self._receiver = Receiver(
            keeper=self.keeper,
            sessions=Sessions(), node=lambda: node, admit=lambda caller, places: Admitted(), idle=lambda origin: 60.0,
        )  # fmt: skip
        self.port = self._receiver.start([("127.0.0.1", 0)])[0][1]

    def stop(self) -> None:
        self._receiver.stop(2.0)


@dataclass(slots=True)
class Shelf:
    """Keeps instances as files named by their SOP Instance UID, and counts how often each came."""

    folder: Path
    times: dict[str, int] = field(default_factory=dict)

    def reach(self, point: str) -> None:
        """No points here."""

    def begin(self, transfer_syntax: Any, origin: Any, command: Any) -> Shelved:
        return Shelved(self, transfer_syntax, origin)


@dataclass(slots=True)
class Shelved:
    """One instance on its way to the shelf: what `Arriving` is to a Keeper."""

    shelf: Shelf
    transfer_syntax: Any
    origin: Any
    data: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes | memoryview) -> None:
        self.data += data

    def reads(self, buffer: memoryview) -> bool:
        """`write` copies."""
        return False

    def belongs_to(self) -> tuple[str, ...]:
        """Nobody waits for what arrives here."""
        return ()

    def keep(self) -> tuple[object, Identity]:
        from node.dicom.header import read_header
        from node.dicom.identity import identify
        from node.dicom.part10 import file_meta
        from node.moment import new_receipt, utc_now

        identity = identify(read_header(self.data, self.transfer_syntax).header, self.transfer_syntax)
        meta, _ = file_meta(identity, self.origin, new_receipt(), utc_now())
        (self.shelf.folder / f"{identity.sop_instance}.dcm").write_bytes(meta + self.data)
        self.shelf.times[identity.sop_instance] = self.shelf.times.get(identity.sop_instance, 0) + 1
        return None, identity

    def discard(self) -> None:
        """Nothing is on the disk before `keep`."""


def images() -> list[Parcel]:
    """The instances among the files that ship inside pydicom; the broken ones among them are left out."""
    import pydicom.data

    from node.deliver.base import Parcel
    from node.dicom.header import read_header_of
    from node.dicom.identity import identify
    from node.dicom.sniff import NotAnInstance, sniff
    from node.errors import NodeError
    from node.model import Kind

    found: list[Parcel] = []
    for path in sorted((Path(pydicom.data.__file__).parent / "test_files").glob("*.dcm")):
        sniffed = sniff(path)
        if isinstance(sniffed, NotAnInstance) or not sniffed.part10:
            continue
        try:
            identify(
                read_header_of(path, sniffed.transfer_syntax, sniffed.dataset_offset).header, sniffed.transfer_syntax
            )
        except NodeError:
            continue
        found.append(
            Parcel(
                number=len(found), path=path, kind=Kind.DICOM, sop_class=sniffed.sop_class,
                sop_instance=sniffed.sop_instance, transfer_syntax=sniffed.transfer_syntax,
            )
        )  # fmt: skip
    return found
