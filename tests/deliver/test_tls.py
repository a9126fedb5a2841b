"""Sending over TLS: the peer's certificate is verified, ours is shown, and a failure says what to change."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.config import DestinationTls
from node.deliver.dicom import DicomTarget
from node.deliver.sender import Timeouts
from node.errors import TryAgain
from tests import make
from tests.authority import Authority
from tests.deliver.test_dicom import Ledger, never, parcels
from tests.peers import Recorder, free_port, silent_listener, wait_until_open


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def target(port: int, tls: DestinationTls, host: str = "localhost", associate: float = 20.0) -> DicomTarget:
    return DicomTarget("ARCHIVE", host, port, "NODE", Timeouts(associate=associate), tls=tls)


@contextmanager
def archive(authority: Authority, *names: str, asks: bool = True) -> Iterator[Recorder]:
    own = authority.issue("archive", *(names or ("DNS:localhost", "IP:127.0.0.1")))
    with Recorder(tls=authority.receiver(own, asks=asks)) as recorder:
        yield recorder


def test_a_series_arrives_over_tls_byte_for_byte(tmp_path: Path, authority: Authority) -> None:
    sent, ledger = parcels(make.ct_series(5), tmp_path), Ledger()
    with archive(authority) as recorder:
        one = target(recorder.port, authority.sending(authority.issue("node")))
        assert "answered C-ECHO" in one.check()
        one.deliver(sent, ledger, never)
        recorder.wait_for_release()
        assert len(recorder.received) == 5
    assert {outcome.value for outcome in ledger.outcomes} == {"delivered"}
    assert all(parcel.path.read_bytes().endswith(got.data) for parcel, got in zip(sent, recorder.received, strict=True))


def test_a_large_delivery_goes_over_two_associations_over_tls(tmp_path: Path, authority: Authority) -> None:
    sent, ledger = parcels(make.ct_series(120, rows=8, columns=8), tmp_path), Ledger()
    with archive(authority) as recorder:
        tls = authority.sending(authority.issue("node"))
        DicomTarget("ARCHIVE", "localhost", recorder.port, "NODE", tls=tls, associations=2).deliver(sent, ledger, never)
        assert recorder.associations == 2
    assert {outcome.value for outcome in ledger.outcomes} == {"delivered"}
    bytes_of = {got.sop_instance: got.data for got in recorder.received}
    assert len(recorder.received) == len(bytes_of) == 120
    assert all(parcel.path.read_bytes().endswith(bytes_of[parcel.sop_instance]) for parcel in sent)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_name_in_its_certificate_is_that_of_the_host_or_the_one_given(authority: Authority, host: str) -> None:
    with archive(authority, "DNS:archive.example", asks=False) as recorder:
        with pytest.raises(TryAgain, match=r"its certificate is not accepted: (Hostname|IP address) mismatch"):
            target(recorder.port, authority.sending(), host).check()
        named = authority.sending().model_copy(update={"name": "archive.example"})
        assert target(recorder.port, named, host).check()


def test_an_issuer_that_is_not_trusted_is_refused(authority: Authority, tmp_path: Path) -> None:
    with archive(authority, asks=False) as recorder:
        for tls in (Authority(tmp_path / "other").sending(), DestinationTls()):
            with pytest.raises(TryAgain, match="its certificate is not accepted"):
                target(recorder.port, tls).check()


def test_a_peer_that_wants_our_certificate_and_gets_none_is_asked_again_later(authority: Authority) -> None:
    with archive(authority) as recorder, pytest.raises(TryAgain, match="certificate"):
        target(recorder.port, authority.sending()).check()


# The Recorder's own pynetdicom may meet the handshake in a state in which it raises.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_peer_without_tls_and_a_silent_one_are_asked_again_later(authority: Authority) -> None:
    with Recorder() as plain, pytest.raises(TryAgain, match=r"over TLS: "):
        target(plain.port, authority.sending()).check()
    with silent_listener() as port, pytest.raises(TryAgain, match="did not finish the TLS handshake in time"):
        target(port, authority.sending(), associate=0.3).check()


def test_files_that_cannot_be_used_leave_it_waiting_with_the_reason(authority: Authority, tmp_path: Path) -> None:
    tls = DestinationTls(ca=tmp_path / "nothing.pem")
    with archive(authority) as recorder, pytest.raises(TryAgain, match=r"nothing\.pem cannot be read"):
        target(recorder.port, tls).check()


def test_dcmtk_takes_what_comes_over_tls(tmp_path: Path, authority: Authority) -> None:
    path = shutil.which("storescp")
    if path is None:
        pytest.skip("storescp is not installed: apt-get install dcmtk")
    if "OpenSSL" not in subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout:
        pytest.skip("this DCMTK is built without OpenSSL")
    theirs, port = authority.issue("archive", "DNS:localhost"), free_port()
    folder, ledger = tmp_path / "got", Ledger()
    folder.mkdir()
    command = [path, "+tls", theirs.key, theirs.certificate, "+cf", authority.ca, "-od", folder, port]
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_open(port)
        sent = parcels(make.ct_series(4, rows=256, columns=256), tmp_path)
        target(port, authority.sending(authority.issue("node"))).deliver(sent, ledger, never)
        assert len(list(folder.iterdir())) == 4
        with pytest.raises(TryAgain):
            target(port, authority.sending()).check()
    finally:
        process.kill()
        process.wait(10)
