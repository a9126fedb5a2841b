"""What PS3.15 B.12 wants of a TLS connection, tried from outside with OpenSSL as Python has it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from node.config import DestinationTls, ListenTls, Secret
from node.errors import ConfigurationError
from node.tls import Channel, client_context, secure, server_context, why_not
from tests.authority import Authority, openssl
from tests.tls.conftest import Beside, pair


def met(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost") -> tuple[str, str]:
    """(version, suite) of a handshake; raises what the server raised, else what the client did."""
    with pair() as (near, far):
        beside = Beside(lambda: secure(far, server, 10.0))
        failed: OSError | None = None
        try:
            with client.wrap_socket(near, server_hostname=name) as connection:
                channel = beside.result()
                assert isinstance(channel, Channel)
                with channel:
                    return str(connection.version()), str((connection.cipher() or ("",))[0])
        except OSError as error:
            failed = error
        beside.result()
        raise failed


def with_versions(context: ssl.SSLContext, highest: ssl.TLSVersion) -> ssl.SSLContext:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, highest
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def test_two_that_can_do_it_take_tls_1_3(authority: Authority) -> None:
    own = authority.issue("ct1")
    version, suite = met(server_context(authority.listening()), authority.sender(own))
    assert version == "TLSv1.3"
    assert "GCM" in suite or "CHACHA20" in suite


def test_of_tls_1_2_only_ephemeral_keys_and_authenticated_ciphers_are_taken(authority: Authority) -> None:
    own, server = authority.issue("ct1"), server_context(authority.listening())
    client = with_versions(authority.sender(own), ssl.TLSVersion.TLSv1_2)
    assert met(server, client)[0] == "TLSv1.2"
    assert met(server, client)[1].startswith("ECDHE-ECDSA-AES")
    client.set_ciphers("ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES256-SHA:AES256-GCM-SHA384:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError) as caught:
        met(server, client)
    assert "ECDHE and AES-GCM" in why_not(caught.value)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_nothing_older_is_taken(authority: Authority, version: ssl.TLSVersion) -> None:
    client = with_versions(authority.sender(authority.issue("ct1")), version)
    with pytest.raises(ssl.SSLError) as caught:
        met(server_context(authority.listening()), client)
    assert "no TLS version from 1.2 on" in why_not(caught.value)


def test_nothing_is_compressed_taken_up_again_or_renegotiated(authority: Authority) -> None:
    context = server_context(authority.listening())
    for option in (ssl.OP_NO_COMPRESSION, ssl.OP_NO_RENEGOTIATION, ssl.OP_NO_TICKET):
        assert context.options & option


@pytest.mark.parametrize(("clients", "word"), [("required", "shows no certificate"), ("optional", ""), ("none", "")])
def test_a_sender_without_certificate(authority: Authority, clients: str, word: str) -> None:
    server = server_context(authority.listening(clients))
    if not word:
        assert met(server, authority.sender())
        return
    with pytest.raises(ssl.SSLError) as caught:
        met(server, authority.sender())
    assert word in why_not(caught.value)


@pytest.mark.parametrize("clients", ["required", "optional"])
def test_a_certificate_that_nobody_vouches_for_is_refused(authority: Authority, tmp_path: Path, clients: str) -> None:
    stranger = Authority(tmp_path / "other").issue("ct1")
    with pytest.raises(ssl.SSLError) as caught:
        met(server_context(authority.listening(clients)), authority.sender(stranger))
    assert why_not(caught.value).startswith("its certificate is not accepted: ")


def test_our_own_client_checks_the_name_and_the_issuer(authority: Authority, tmp_path: Path) -> None:
    server = authority.receiver(authority.issue("archive", "DNS:archive.example"), asks=False)
    client = client_context(authority.sending())
    assert client.check_hostname
    assert client.verify_mode is ssl.CERT_REQUIRED

    def shake(context: ssl.SSLContext, name: str) -> None:
        with pair() as (near, far):
            serving = Beside(lambda: _served(server, far))
            secure(near, context, 10.0, name=name).close()
            serving.result()

    shake(client, "archive.example")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake(client, "localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(client_context(Authority(tmp_path / "other").sending()), "archive.example")


def _served(context: ssl.SSLContext, connection: socket.socket) -> None:
    with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as served:
        served.recv(1)


def _other_key(authority: Authority, tls: ListenTls) -> dict[str, object]:
    return {"key": authority.issue("other").key}


def _no_file(authority: Authority, tls: ListenTls) -> dict[str, object]:
    return {"certificate": Path("/nowhere/node.pem")}


def _no_pem(authority: Authority, tls: ListenTls) -> dict[str, object]:
    path = authority.folder / "empty"
    path.write_text("nothing")
    return {"ca": path}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_other_key, "is not that of the certificate"),
        (_no_file, "certificate /nowhere/node.pem cannot be read: No such file or directory"),
        (_no_pem, "has no certificates in PEM"),
    ],
)
def test_files_that_cannot_be_used_are_named(
    authority: Authority, change: Callable[[Authority, ListenTls], dict[str, object]], text: str
) -> None:
    tls = authority.listening()
    with pytest.raises(ConfigurationError, match=text):
        server_context(tls.model_copy(update=change(authority, tls)))
    both = {"ca": tls.ca, "certificate": tls.certificate, "key": tls.key} | change(authority, tls)
    with pytest.raises(ConfigurationError, match=text):
        client_context(DestinationTls.model_validate(both))


def test_an_encrypted_key_needs_its_password_and_never_asks_at_the_terminal(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, locked = authority.listening(), tmp_path / "locked.key"
    openssl("pkcs8", "-topk8", "-in", tls.key, "-out", locked, "-passout", "pass:sesame")
    with pytest.raises(ConfigurationError, match="is encrypted: give its key_password"):
        server_context(tls.model_copy(update={"key": locked}))
    tls = tls.model_copy(update={"key": locked, "key_password": Secret(env="KEY_PASSWORD")})
    monkeypatch.setenv("KEY_PASSWORD", "sesame")
    assert server_context(tls)
    monkeypatch.setenv("KEY_PASSWORD", "simsim")
    with pytest.raises(ConfigurationError, match="or key_password is wrong"):
        server_context(tls)
