from __future__ import annotations

import contextlib
import os
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config import ListenTls
from node.errors import ConfigurationError
from node.tls import Certificate, Certificates, Channel, client_context, secure
from node.tls.certificates import expiry, not_after
from tests.authority import Authority, Pair, openssl
from tests.tls.conftest import Beside, pair


def shown(certificates: Certificates, authority: Authority, own: Pair) -> tuple[Certificate | None, Certificate | None]:
    """(what the server saw of the client, what the client saw of the server) in one handshake."""
    with pair() as (near, far):
        beside = Beside(lambda: secure(far, certificates.context(), 10.0))
        client = secure(near, client_context(authority.sending(own)), 10.0, name="localhost")
        server = beside.result()
        assert isinstance(server, Channel)
        with client, server:
            return Certificate.of(server), Certificate.of(client)


def test_a_peer_is_known_by_fingerprint_and_by_every_name_in_its_certificate(authority: Authority) -> None:
    own = authority.issue("CT1.example", "DNS:ct1.hospital.example", "URI:urn:ae:CT1", "IP:10.1.2.3")
    seen, _ = shown(Certificates(authority.listening()), authority, own)
    assert seen is not None
    assert seen.sha256 == own.sha256.replace(":", "").lower()
    assert seen.names == {"ct1.example", "ct1.hospital.example", "urn:ae:ct1", "10.1.2.3"}
    assert seen.answers_to((seen.sha256,))
    assert seen.answers_to(("other", "ct1.hospital.example"))
    assert not seen.answers_to(("hospital.example", "0" * 64))


def test_a_peer_that_shows_none_is_nobody(authority: Authority) -> None:
    with pair() as (near, far):
        beside = Beside(lambda: secure(far, Certificates(authority.listening("optional")).context(), 10.0))
        client = secure(near, client_context(authority.sending()), 10.0, name="localhost")
        server = beside.result()
        assert isinstance(server, Channel)
        with client, server:
            assert Certificate.of(server) is None


def replace(tls: ListenTls, new: Pair, *, age: float = 10.0) -> None:
    """As a renewal does: other files under the same names, so many seconds ago."""
    for source, target in ((new.certificate, tls.certificate), (new.key, tls.key)):
        hidden = target.with_suffix(".new")
        shutil.copy(source, hidden)
        os.utime(hidden, (time.time() - age,) * 2)
        hidden.rename(target)


def test_a_renewed_certificate_is_shown_at_the_next_handshake(authority: Authority) -> None:
    own, tls = authority.issue("ct1"), authority.listening()
    certificates = Certificates(tls)
    _, before = shown(certificates, authority, own)
    assert certificates.context() is certificates.context()
    new = authority.issue("renewed", "DNS:localhost")
    replace(tls, new)
    _, after = shown(certificates, authority, own)
    assert before is not None
    assert after is not None
    assert "renewed" in after.names - before.names


def test_a_broken_one_is_reported_once_and_the_old_one_stays_until_it_is_right(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    tls = authority.listening()
    certificates = Certificates(tls)
    before = certificates.context()
    replace(tls, Pair(authority.issue("new").certificate, tls.key))
    for _ in range(3):
        assert certificates.context() is before
    assert "is not that of the certificate" in certificates.broken
    assert len([r for r in caplog.records if "the old one stays" in r.getMessage()]) == 1
    replace(tls, authority.issue("right", "DNS:localhost"))
    assert certificates.context() is not before
    assert certificates.broken == ""


def test_certificate_and_key_that_are_replaced_one_after_the_other_are_no_error(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    tls, new = authority.listening(), authority.issue("new", "DNS:localhost")
    certificates = Certificates(tls)
    before = certificates.context()
    replace(tls, Pair(new.certificate, tls.key), age=0.0)
    assert certificates.context() is before
    replace(tls, new, age=0.0)
    assert certificates.context() is not before
    assert [r for r in caplog.records if r.levelname == "ERROR"] == []


def test_an_expiry_is_what_openssl_says(authority: Authority) -> None:
    for days in (1, 365, 36_500):
        path = authority.issue("node", days=days).certificate
        said = openssl("x509", "-in", path, "-noout", "-enddate").strip().partition("=")[2]
        assert expiry(path) == datetime.strptime(said, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
    assert abs(expiry(path) - datetime.now(UTC) - timedelta(days=36_500)) < timedelta(hours=1)


def test_what_is_no_certificate_is_named(tmp_path: Path) -> None:
    for content in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\x30\x82"):
        path = tmp_path / "node.pem"
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match="is no certificate in PEM"):
            expiry(path)
    with pytest.raises(ConfigurationError, match="No such file"):
        expiry(tmp_path / "nothing.pem")


@given(st.binary(max_size=80))
def test_no_bytes_make_the_reader_fail_in_another_way(der: bytes) -> None:
    with contextlib.suppress(ValueError, IndexError):
        assert not_after(der).tzinfo is UTC


def test_our_own_certificate_that_is_over_is_a_line_at_the_start_and_when_it_is_taken_up(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    tls, now = authority.listening(), [time.time()]
    certificates = Certificates(tls, clock=lambda: now[0])
    replace(tls, authority.issue("renewed", "DNS:localhost", days=30))
    certificates.context()
    assert "ended" not in caplog.text
    now[0] += 31 * 86_400
    replace(tls, authority.issue("renewed", "DNS:localhost", days=20))
    certificates.context()
    Certificates(tls, clock=lambda: now[0])
    line = f"certificate {tls.certificate} ended on {expiry(tls.certificate).date()}; senders will not accept it"
    assert caplog.text.count(line) == 2
