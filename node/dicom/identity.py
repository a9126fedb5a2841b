"""What an instance says it is, and the C-STORE status for one that does not (PS3.4 B.2.3)."""

from __future__ import annotations

import contextlib

from node.dicom import status
from node.dicom.attributes import describe
from node.dicom.elements import walk
from node.dicom.encoding import Buffer, Malformed, encoding_of
from node.dicom.uids import tolerable_uid, valid_uid
from node.errors import Refused
from node.model import UID, Header, Identity

_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = "00080016", "00080018", "0020000D", "0020000E"
"""Keys of a `Header`."""
_BELONGS_TO = (0x0020000D, 0x0020000E)


def identify(header: Header, transfer_syntax: str) -> Identity:
    """The identity in a header. Raises Refused:

    0x0117 invalid SOP instance: the SOP Instance UID is missing or breaks PS3.5 9.1 (PS3.7 C.5.9).
    0xA900 data set does not match SOP class: one of the others is, as every storage IOD has all three.
    Leading zeros in a component are let through; see `irregular`.
    """
    return Identity(
        sop_instance=_uid(header, _SOP_INSTANCE, status.INVALID_INSTANCE),
        sop_class=_uid(header, _SOP_CLASS, status.DOES_NOT_MATCH),
        study=_uid(header, _STUDY, status.DOES_NOT_MATCH),
        series=_uid(header, _SERIES, status.DOES_NOT_MATCH),
        transfer_syntax=UID(transfer_syntax),
    )


def study_and_series(beginning: Buffer, transfer_syntax: str) -> tuple[UID, ...]:
    """The Study and the Series Instance UID of a data set of which only the beginning is here; those that it has."""
    found = []
    with contextlib.suppress(Malformed):
        for tag, _, _, value, end in walk(beginning, encoding_of(transfer_syntax), stop_at=_BELONGS_TO[1:]):
            if tag in _BELONGS_TO and end <= len(beginning):
                uid = bytes(beginning[value:end]).decode("ascii", "replace").strip("\0 ")
                found += [UID(uid)] if tolerable_uid(uid) else []
    return tuple(found)


def irregular(identity: Identity) -> tuple[str, ...]:
    """Attributes whose UID was let through though a component begins with zero, for a warning."""
    components = f".{identity.sop_class}.{identity.sop_instance}.{identity.study}.{identity.series}."
    if ".0" not in components.replace(".0.", "."):  # most: `identify` lets nothing else through that is not valid
        return ()
    uids = {
        _SOP_CLASS: identity.sop_class,
        _SOP_INSTANCE: identity.sop_instance,
        _STUDY: identity.study,
        _SERIES: identity.series,
    }
    return tuple(_named(key) for key, uid in uids.items() if not valid_uid(uid))


def begin_as_data(header: Header) -> None:
    """Raise Refused 0xC000 where a data set begins with what belongs to a message or a file: groups 0000 to 0002
    (PS3.7 6.3.1, PS3.10 7.1). Behind file meta information many readers take that for more of it, and believe its
    transfer syntax.

    header      in the order of the bytes
    """
    first = next(iter(header), "")
    if first and first < "0003":
        raise Refused(status.CANNOT_UNDERSTAND, f"the data set begins with {_named(first)}, which is of no data set")


def agree(command_class: str, command_instance: str, identity: Identity) -> None:
    """Raise Refused 0xA900 where a C-STORE command names another object than its data set is.

    (0000,0002) Affected SOP Class UID and (0000,1000) Affected SOP Instance UID, PS3.7 9.1.1.1.
    """
    for given, own, key in (
        (command_class, identity.sop_class, _SOP_CLASS),
        (command_instance, identity.sop_instance, _SOP_INSTANCE),
    ):
        if given.rstrip("\0 ") != own:
            raise Refused(status.DOES_NOT_MATCH, f"{_named(key)} is another than the C-STORE command says")


def _uid(header: Header, key: str, refusal: int) -> UID:
    vr_and_values = header.get(key)
    values = vr_and_values[1] if vr_and_values else []
    if values == []:
        raise Refused(refusal, f"{_named(key)} is missing")
    # Checked before it is shown to anyone: what is no UID may be any text, so it is not repeated.
    if values is None or len(values) != 1 or not tolerable_uid(text := str(values[0])):
        raise Refused(refusal, f"{_named(key)} is not a UID")
    return UID(text)


def _named(key: str) -> str:
    return describe(int(key, 16))
