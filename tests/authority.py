"""Certificates for tests, made by the `openssl` command when they are needed; none is ever kept."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.config import DestinationTls, ListenTls


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, in PEM."""

    certificate: Path
    key: Path

    @property
    def sha256(self) -> str:
        said = openssl("x509", "-in", self.certificate, "-noout", "-fingerprint", "-sha256")
        return said.strip().partition("=")[2]


class Authority:
    """Issues certificates that whoever has its `ca` believes."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._issued = folder, 0
        self.ca, self._key = folder / "ca.pem", folder / "ca.key"
        _request(self.ca, self._key, name, "-addext", "basicConstraints=critical,CA:TRUE")

    def issue(self, name: str, *alternatives: str, days: int = 365) -> Pair:
        """`alternatives` such as `DNS:localhost` or `IP:127.0.0.1`."""
        self._issued += 1
        pair = Pair(self.folder / f"{self._issued}.pem", self.folder / f"{self._issued}.key")
        more = ("-addext", f"subjectAltName={','.join(alternatives)}") if alternatives else ()
        _request(pair.certificate, pair.key, name, "-CA", self.ca, "-CAkey", self._key, *more, days=days)
        return pair

    def listening(self, clients: str = "required") -> ListenTls:
        """What a node listens with, and its name is localhost."""
        own = self.issue("node", "DNS:localhost", "IP:127.0.0.1")
        return ListenTls(certificate=own.certificate, key=own.key, ca=self.ca, clients=clients)  # type: ignore[arg-type]  # pydantic checks it

    def sending(self, own: Pair | None = None) -> DestinationTls:
        """What connects to a node of ours with."""
        return DestinationTls(ca=self.ca, certificate=own and own.certificate, key=own and own.key)

    def sender(self, own: Pair | None = None) -> ssl.SSLContext:
        """As another implementation would connect, with what it can do."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if own is not None:
            context.load_cert_chain(own.certificate, own.key)
        return context

    def receiver(self, own: Pair, *, asks: bool = True) -> ssl.SSLContext:
        """As another implementation would listen."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(own.certificate, own.key)
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED if asks else ssl.CERT_NONE
        return context


def _request(certificate: Path, key: Path, name: str, *more: object, days: int = 365) -> None:
    openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", days,
        "-subj", f"/CN={name}", "-keyout", key, "-out", certificate, *more,
    )  # fmt: skip


def openssl(*arguments: object) -> str:
    """What it prints. Skips the test where there is none, or one that is too old."""
    path = shutil.which("openssl")
    if path is None:
        pytest.skip("openssl is not installed: apt-get install openssl")
    ran = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    if ran.returncode != 0 and "-CA" in ran.stderr:
        pytest.skip("this openssl is older than 3.0")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
