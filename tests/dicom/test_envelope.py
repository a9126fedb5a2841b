"""What is sealed is read by its owner, by OpenSSL too, and by nobody else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.dicom.envelope import EnvelopeError, Owner, opened, read_certificate, read_private_key, sealed
from tests.dicom.certificates import pair, written


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Owner:
    certificate, key = written(tmp_path_factory.mktemp("owner"))
    return read_private_key(key, read_certificate(certificate))


@settings(max_examples=25)
@given(content=st.binary(max_size=2000), padding=st.sampled_from([b"", b"\0", b"\0\0\0"]))
def test_every_content_comes_back_as_it_was(owner: Owner, content: bytes, padding: bytes) -> None:
    assert opened(sealed(content, owner.recipient) + padding, owner) == content


def test_line_ends_are_no_text_here(owner: Owner) -> None:
    content = b"a\nb\r\nc\r\x00\xff" * 1000
    envelope = sealed(content, owner.recipient)
    assert opened(envelope, owner) == content
    assert b"a\nb" not in envelope
    assert envelope != sealed(content, owner.recipient)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_openssl_reads_it_and_says_what_the_standard_asks_for(tmp_path: Path) -> None:
    certificate, key = written(tmp_path)
    (tmp_path / "content.der").write_bytes(sealed(b"the original\n", read_certificate(certificate)))
    cms = ["openssl", "cms", "-inform", "DER", "-in", tmp_path / "content.der"]
    clear = subprocess.run([*cms, "-decrypt", "-inkey", key, "-recip", certificate], capture_output=True, check=True)
    assert clear.stdout == b"the original\n"
    shown = subprocess.run([*cms, "-cmsout", "-print", "-noout"], capture_output=True, check=True).stdout.decode()
    assert "pkcs7-envelopedData" in shown
    assert "aes-256-cbc" in shown
    assert "rsaEncryption" in shown


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_what_openssl_sealed_is_read(owner: Owner, tmp_path: Path) -> None:
    certificate, _ = written(tmp_path)
    (tmp_path / "content").write_bytes(b"the original\n\x00")
    subprocess.run(
        ["openssl", "cms", "-encrypt", "-binary", "-aes256", "-outform", "DER", "-in", tmp_path / "content",
         "-out", tmp_path / "content.der", certificate],
        check=True,
    )  # fmt: skip
    assert opened((tmp_path / "content.der").read_bytes(), owner) == b"the original\n\x00"


def test_another_owner_and_a_changed_envelope_get_nothing(owner: Owner, tmp_path: Path) -> None:
    certificate, key = written(tmp_path, "other")
    envelope = sealed(b"the original", owner.recipient)
    other = read_private_key(key, read_certificate(certificate))
    for found, who in ((envelope, other), (envelope[:-5], owner), (b"", owner), (b"\x30", owner), (b"text", owner)):
        with pytest.raises(EnvelopeError):
            opened(found, who)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no X.509"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no X.509"),
        (b"\x30", "no"),
    ],
)
def test_what_is_no_certificate_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    pytest.importorskip("cryptography")
    (tmp_path / "bad.pem").write_bytes(content)
    with pytest.raises(EnvelopeError, match=why):
        read_certificate(tmp_path / "bad.pem")
    with pytest.raises(EnvelopeError, match="cannot be read"):
        read_certificate(tmp_path / "none.pem")


def test_a_private_key_has_no_place_beside_the_certificate_and_short_keys_none_at_all(tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(pair("owner").certificate + pair("owner").key)
    with pytest.raises(EnvelopeError, match="holds a private key"):
        read_certificate(both)
    both.write_bytes(pair("short", 1024).certificate)
    with pytest.raises(EnvelopeError, match="1024 bits"):
        read_certificate(both)


def test_a_key_must_be_the_certificates_and_open_with_its_password(tmp_path: Path) -> None:
    certificate, key = written(tmp_path)
    from cryptography.hazmat.primitives import serialization

    _, other = written(tmp_path, "other")
    recipient = read_certificate(certificate)
    with pytest.raises(EnvelopeError, match="not the key of the certificate"):
        read_private_key(other, recipient)
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"password")
    key.write_bytes(loaded.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, locked))
    assert read_private_key(key, recipient, b"password").recipient is recipient
    for wrong in (None, b"another"):
        with pytest.raises(EnvelopeError, match="password"):
            read_private_key(key, recipient, wrong)


def test_without_the_library_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(EnvelopeError, match=r"pip install dicom-node\[reversible\]"):
        read_certificate(tmp_path / "owner.pem")
