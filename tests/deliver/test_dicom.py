from __future__ import annotations

import os
import subprocess
import threading
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)
from pynetdicom import AllStoragePresentationContexts

from node.deliver.base import Outcome, Parcel, Result
from node.deliver.dicom import DicomTarget
from node.deliver.sender import Timeouts
from node.errors import TryAgain
from node.model import Kind
from tests import make
from tests.peers import (
    Instance,
    Recorder,
    free_port,
    listener_that_answers_another_message,
    listener_that_stops_reading,
    silent_listener,
)
from tests.receive.station import station

SHORT = Timeouts(connect=1.0, associate=0.5, answer=0.5, network=0.5)


class Ledger:
    """Remembers what was recorded, as the database will. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.results: list[tuple[int, Result]] = []

    def __call__(self, parcel: Parcel, result: Result) -> None:
        with self._lock:
            self.results.append((parcel.number, result))

    @property
    def outcomes(self) -> list[Outcome]:
        return [result.outcome for _, result in self.results]

    @property
    def texts(self) -> list[str]:
        return [result.text for _, result in self.results]


def never() -> bool:
    return False


def parcel(path: Path, number: int = 0) -> Parcel:
    meta = dcmread(path, stop_before_pixels=True).file_meta
    return Parcel(
        number=number,
        path=path,
        kind=Kind.DICOM,
        sop_class=str(meta.MediaStorageSOPClassUID),
        sop_instance=str(meta.MediaStorageSOPInstanceUID),
        transfer_syntax=str(meta.TransferSyntaxUID),
    )


def parcels(instances: Sequence[FileDataset], folder: Path) -> list[Parcel]:
    return [parcel(path, number) for number, path in enumerate(make.write_all(instances, folder))]


def target(port: int, timeouts: Timeouts | None = None) -> DicomTarget:
    return DicomTarget("ARCHIVE", "127.0.0.1", port, "NODE", timeouts)


def _large(folder: Path) -> Parcel:
    """A parcel of 32 MiB: more than the socket buffers of both ends hold."""
    ds = make.instance()
    make.set_pixels(ds, np.zeros((4096, 4096), np.uint16))
    return parcel(make.write(ds, folder / "large.dcm"))


@pytest.fixture
def series(tmp_path: Path) -> list[Parcel]:
    return parcels(make.ct_series(5), tmp_path)


def deliver(port: int, what: Sequence[Parcel], timeouts: Timeouts | None = None) -> Ledger:
    ledger = Ledger()
    target(port, timeouts).deliver(what, ledger, never)
    return ledger


def test_a_node_with_more_than_a_thousand_descriptors_still_delivers(series: list[Parcel], tmp_path: Path) -> None:
    """select() knows none over 1023, and pynetdicom takes its refusal for the end of the connection."""
    with station(tmp_path / "peer") as peer, ExitStack() as stack:
        while (descriptor := os.open(os.devnull, os.O_RDONLY)) < 1100:
            stack.callback(os.close, descriptor)
        stack.callback(os.close, descriptor)
        ledger = Ledger()
        DicomTarget("NODE", "127.0.0.1", peer.port, "SENDER", SHORT).deliver(series, ledger, never)
    assert ledger.outcomes == [Outcome.DELIVERED] * 5


# ---- what arrives ----------------------------------------------------------------------------------


def test_a_series_arrives_in_order_byte_for_byte_on_one_association(series: list[Parcel]) -> None:
    with Recorder() as archive:
        ledger = deliver(archive.port, series)
        archive.wait_for_release()
    assert ledger.results == [(n, Result(outcome=Outcome.DELIVERED, status=0)) for n in range(5)]
    assert archive.associations == 1
    assert [one.data for one in archive.received] == [Instance.of(p.path).data for p in series]
    assert {one.calling_ae for one in archive.received} == {"NODE"}


@pytest.mark.parametrize("max_pdu", [128, 4096, 0])
def test_pdus_keep_to_the_length_that_the_peer_can_take(series: list[Parcel], max_pdu: int) -> None:
    with Recorder(max_pdu=max_pdu) as archive:
        assert deliver(archive.port, series[:1]).outcomes == [Outcome.DELIVERED]
    assert archive.received[0].data == Instance.of(series[0].path).data


def test_each_file_goes_in_its_own_transfer_syntax(tmp_path: Path) -> None:
    plain, packed, implicit = make.ct_series(3)
    packed.compress(RLELossless, generate_instance_uid=False)
    paths = make.write_all([plain, packed], tmp_path)
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    make.write(implicit, tmp_path / "implicit.dcm")
    sent = [parcel(path, n) for n, path in enumerate([*paths, tmp_path / "implicit.dcm"])]
    with Recorder() as archive:
        assert deliver(archive.port, sent).outcomes == [Outcome.DELIVERED] * 3
    assert [one.transfer_syntax for one in archive.received] == [
        str(uid) for uid in (ExplicitVRLittleEndian, RLELossless, ImplicitVRLittleEndian)
    ]
    assert [one.data for one in archive.received] == [Instance.of(p.path).data for p in sent]


def test_a_file_of_another_uncompressed_syntax_is_encoded_anew_for_a_peer_that_takes_only_implicit(
    series: list[Parcel],
) -> None:
    with Recorder(accept=[ImplicitVRLittleEndian]) as archive:
        assert deliver(archive.port, series[:1]).outcomes == [Outcome.DELIVERED]
    got, sent = archive.received[0].dataset(), dcmread(series[0].path)
    assert archive.received[0].transfer_syntax == ImplicitVRLittleEndian
    assert archive.received[0].sop_instance == sent.SOPInstanceUID
    assert got == sent


def test_a_deflated_file_is_inflated_for_a_peer_that_does_not_take_it(tmp_path: Path) -> None:
    (ds,) = make.ct_series(1)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = tmp_path / "deflated.dcm"
    ds.save_as(path, implicit_vr=False)
    with Recorder(accept=[ExplicitVRLittleEndian]) as archive:
        assert deliver(archive.port, [parcel(path)]).outcomes == [Outcome.DELIVERED]
    assert archive.received[0].dataset() == dcmread(path)


def test_more_than_128_contexts_take_a_second_association(tmp_path: Path) -> None:
    classes = [str(cx.abstract_syntax) for cx in AllStoragePresentationContexts[:70]]
    made = []
    for n, sop_class in enumerate(classes):
        ds = make.instance(sop_class, number=n)
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        made.append(ds)
    with Recorder(sop_classes=classes) as archive:
        ledger = deliver(archive.port, parcels(made, tmp_path))
    assert ledger.outcomes == [Outcome.DELIVERED] * 70
    assert archive.associations == 2


def test_memory_does_not_grow_with_the_instance(tmp_path: Path, storescp: tuple[int, Path]) -> None:
    port, _ = storescp
    large = _large(tmp_path)
    tracemalloc.start()
    ledger = deliver(port, [large])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ledger.outcomes == [Outcome.DELIVERED]
    assert peak < 4 << 20 < large.path.stat().st_size


# ---- what the peer refuses -------------------------------------------------------------------------


def test_one_refused_instance_does_not_stop_the_rest(series: list[Parcel]) -> None:
    bad = series[1].sop_instance
    with Recorder(refuse=0xC000, refuse_when=lambda one: one.sop_instance == bad) as archive:
        ledger = deliver(archive.port, series)
    assert ledger.outcomes == [Outcome.DELIVERED, Outcome.REFUSED, *[Outcome.DELIVERED] * 3]
    assert ledger.results[1][1].status == 0xC000
    assert ledger.texts[1] == "ARCHIVE answered 0xC000 error: cannot understand"


def test_a_warning_is_a_delivery_with_a_note(series: list[Parcel]) -> None:
    with Recorder(refuse=0xB000) as archive:
        ledger = deliver(archive.port, series[:1])
    assert ledger.outcomes == [Outcome.DELIVERED]
    assert "0xB000" in ledger.texts[0]


def test_a_peer_out_of_resources_is_asked_again_later_and_not_hammered(series: list[Parcel]) -> None:
    ledger = Ledger()
    with Recorder(refuse=0xA700) as archive, pytest.raises(TryAgain, match="0xA700 refused: out of resources, 3 times"):
        target(archive.port).deliver(series, ledger, never)
    assert ledger.outcomes == [Outcome.AGAIN] * 3


def test_temporary_refusals_between_successes_do_not_end_the_delivery(series: list[Parcel]) -> None:
    odd = {series[0].sop_instance, series[2].sop_instance, series[4].sop_instance}
    with Recorder(refuse=0x0110, refuse_when=lambda one: one.sop_instance in odd) as archive:
        ledger = deliver(archive.port, series)
    assert ledger.outcomes.count(Outcome.AGAIN) == 3
    assert ledger.outcomes.count(Outcome.DELIVERED) == 2


def test_a_compressed_file_that_the_peer_does_not_take_is_held_with_the_remedy(tmp_path: Path) -> None:
    plain, packed = make.ct_series(2)
    packed.compress(RLELossless, generate_instance_uid=False)
    with Recorder(accept=[ImplicitVRLittleEndian, ExplicitVRLittleEndian]) as archive:
        ledger = deliver(archive.port, parcels([packed, plain], tmp_path))
    assert ledger.outcomes == [Outcome.REFUSED, Outcome.DELIVERED]
    assert ledger.texts[0].startswith("ARCHIVE does not accept CT Image Storage in RLE Lossless")
    assert ledger.texts[0].endswith("add `decompress` before `forward`")


def test_a_peer_that_takes_no_context_at_all_refuses_every_instance_but_is_no_reason_to_try_again(
    series: list[Parcel],
) -> None:
    with Recorder(sop_classes=[make.MR_IMAGE]) as archive:
        ledger = deliver(archive.port, series)
    assert ledger.outcomes == [Outcome.REFUSED] * 5
    assert "does not accept CT Image Storage" in ledger.texts[0]


def test_a_file_that_is_no_dicom_goes_to_no_dicom_peer(tmp_path: Path, series: list[Parcel]) -> None:
    volume = Parcel(number=9, path=tmp_path / "a.nii.gz", kind=Kind.NIFTI)
    with Recorder() as archive:
        ledger = deliver(archive.port, [volume, series[0]])
    assert ledger.outcomes == [Outcome.REFUSED, Outcome.DELIVERED]


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"no DICOM" * 99)])
def test_a_spoiled_file_in_the_outbox_is_held_alone(series: list[Parcel], spoil: Callable[[Path], object]) -> None:
    spoil(series[0].path)
    with Recorder() as archive:
        ledger = deliver(archive.port, series)
    assert ledger.outcomes == [Outcome.REFUSED, *[Outcome.DELIVERED] * 4]


def test_a_file_in_another_syntax_than_recorded_is_not_sent_as_garbage(series: list[Parcel]) -> None:
    wrong = replace(series[0], transfer_syntax=str(JPEG2000Lossless))
    with Recorder() as archive:
        ledger = deliver(archive.port, [wrong])
    assert ledger.outcomes == [Outcome.REFUSED]
    assert "not in the transfer syntax that was recorded" in ledger.texts[0]
    assert archive.received == []


# ---- when the peer is not well ---------------------------------------------------------------------


def test_after_an_abort_midway_only_answered_instances_are_recorded_and_the_rest_can_follow(
    series: list[Parcel],
) -> None:
    ledger = Ledger()
    with Recorder(abort_after=2) as archive:
        with pytest.raises(TryAgain, match=r"ARCHIVE at 127\.0\.0\.1:\d+ aborted the association"):
            target(archive.port).deliver(series, ledger, never)
        assert [number for number, _ in ledger.results] == [0, 1]
        archive.abort_after = None
        target(archive.port).deliver(series[2:], ledger, never)
        assert archive.uids == [p.sop_instance for p in series]


def test_a_peer_that_does_not_answer_is_left_after_the_timeout(series: list[Parcel]) -> None:
    ledger = Ledger()
    with Recorder(delay=30) as archive, pytest.raises(TryAgain, match=r"did not answer a C-STORE within 0\.5 s"):
        target(archive.port, replace(SHORT, connect=20.0, associate=20.0)).deliver(series, ledger, never)
    assert ledger.results == []


def test_a_peer_that_stops_reading_is_left_after_the_timeout(tmp_path: Path) -> None:
    ledger = Ledger()
    with listener_that_stops_reading() as port, pytest.raises(TryAgain, match=r"took no more bytes for 0\.5 s"):
        target(port, replace(SHORT, connect=20.0, associate=20.0)).deliver([_large(tmp_path)], ledger, never)
    assert ledger.results == []


def test_an_answer_to_another_message_is_taken_for_no_answer(series: list[Parcel]) -> None:
    ledger = Ledger()
    with listener_that_answers_another_message() as port, pytest.raises(TryAgain, match="answered something else"):
        target(port).deliver(series, ledger, never)
    assert ledger.results == []


def test_nobody_listening_is_said_so(series: list[Parcel]) -> None:
    with pytest.raises(TryAgain, match="cannot be reached: Connection refused"):
        deliver(free_port(), series)


def test_an_unknown_host_is_said_so(series: list[Parcel]) -> None:
    lost = DicomTarget("ARCHIVE", "no-such-host.invalid", 104, "NODE")
    with pytest.raises(TryAgain, match=r"no-such-host\.invalid is not a known host"):
        lost.deliver(series, Ledger(), never)


def test_a_listener_that_is_no_dicom_peer_is_left_after_the_timeout(series: list[Parcel]) -> None:
    with (
        silent_listener() as port,
        pytest.raises(TryAgain, match=r"did not answer the association request within 0\.5"),
    ):
        deliver(port, series, SHORT)


def test_a_rejected_association_names_both_titles_and_the_codes(series: list[Parcel]) -> None:
    with Recorder(only_callers=["SOMEBODY"]) as archive, pytest.raises(TryAgain) as caught:
        deliver(archive.port, series)
    assert "rejected the association (1/1/3, calling ae title not recognised)" in str(caught.value).lower()
    assert "it must know us as NODE and itself as ARCHIVE" in str(caught.value)


def test_no_thread_outlives_a_delivery(series: list[Parcel]) -> None:
    before = set(threading.enumerate())
    with Recorder(abort_after=2) as archive, pytest.raises(TryAgain):
        deliver(archive.port, series)
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert set(threading.enumerate()) <= before


def test_stop_ends_the_delivery_after_the_instance_in_flight(series: list[Parcel]) -> None:
    ledger = Ledger()
    with Recorder() as archive:
        target(archive.port).deliver(series, ledger, lambda: len(ledger.results) >= 2)
        assert archive.uids == [p.sop_instance for p in series[:2]]
    assert len(ledger.results) == 2


# ---- check -----------------------------------------------------------------------------------------


def test_check_says_that_the_peer_answered() -> None:
    with Recorder() as archive:
        assert target(archive.port).check().startswith(f"ARCHIVE at 127.0.0.1:{archive.port} answered C-ECHO in ")


def test_check_raises_when_nobody_is_there() -> None:
    with pytest.raises(TryAgain, match="cannot be reached"):
        target(free_port()).check()


# ---- DCMTK -----------------------------------------------------------------------------------------


def test_a_series_arrives_at_dcmtk(tmp_path: Path, series: list[Parcel], storescp: tuple[int, Path]) -> None:
    port, folder = storescp
    assert target(port).check()
    assert deliver(port, series).outcomes == [Outcome.DELIVERED] * 5
    stored = {str(ds.SOPInstanceUID): ds for ds in (dcmread(path) for path in folder.iterdir())}
    assert stored.keys() == {p.sop_instance for p in series}
    for sent in series:
        assert stored[sent.sop_instance] == dcmread(sent.path)


def test_dcmtk_that_dies_midway_is_tried_again(
    series: list[Parcel], storescp_process: tuple[subprocess.Popen[bytes], int, Path]
) -> None:
    process, port, _ = storescp_process
    ledger = Ledger()

    def record(parcel: Parcel, result: Result) -> None:
        ledger(parcel, result)
        if len(ledger.results) == 2:
            process.kill()
            process.wait()

    with pytest.raises(TryAgain, match=r"closed the connection|broke off"):
        target(port).deliver(series, record, never)
    assert ledger.outcomes == [Outcome.DELIVERED] * 2
