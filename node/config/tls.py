"""`tls:` of a `listen` entry and of a destination. What the files hold is looked at by node/tls."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from node.config.secret import SecretPlace
from node.config.section import Section
from node.config.values import FilePath, Shown, Text, one_or_list


class ListenTls(Section):
    """DICOM over TLS on this address (PS3.15 B.12): TLS 1.2 and 1.3, nothing older."""

    certificate: FilePath
    """Our certificate in PEM, and after it those between it and the root. A changed file is taken up while running."""
    key: FilePath
    """Its private key, in PEM."""
    key_password: SecretPlace | None = None
    """Password of the key, where it is encrypted."""
    ca: FilePath | None = None
    """Certificates, in PEM, of those whose word on a sender's certificate is taken."""
    clients: Literal["required", "optional", "none"] = "required"
    """Whether a sender must show a certificate, may, or is not asked."""

    @model_validator(mode="after")
    def _check(self) -> ListenTls:
        if self.clients != "none" and self.ca is None:
            raise ValueError(f"`clients: {self.clients}` needs `ca`; `clients: none` asks senders for no certificate")
        return self


class DestinationTls(Section):
    """DICOM over TLS to this destination. Its certificate is always verified."""

    ca: FilePath | None = None
    """Certificates, in PEM, of those whose word on its certificate is taken; default: those the system trusts."""
    name: Text | None = None
    """Name or address that its certificate must have; default: the host of `dicom`."""
    certificate: FilePath | None = None
    """Our certificate in PEM, for a peer that asks for one."""
    key: FilePath | None = None
    """Its private key, in PEM."""
    key_password: SecretPlace | None = None
    """Password of the key, where it is encrypted."""

    @model_validator(mode="after")
    def _check(self) -> DestinationTls:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("`certificate` and `key` belong together")
        return self


_FINGERPRINT = re.compile(r"(?:sha-?256[:=\s]\s*)?((?:[0-9a-f]{2}:?){31}[0-9a-f]{2})", re.IGNORECASE)


def _certificate(value: str) -> str:
    """A fingerprint as 64 hex digits; any other text is a name."""
    text = value.strip()
    found = _FINGERPRINT.fullmatch(text)
    if found is None and not text:
        raise ValueError("a certificate is named by its SHA-256 fingerprint, or by a name in it")
    return found[1].replace(":", "").lower() if found else text.casefold()


CertificateNames = Annotated[
    tuple[Annotated[Text, AfterValidator(_certificate)], ...],
    BeforeValidator(one_or_list),
    Field(min_length=1),
    Shown("SHA-256 fingerprint, name or list"),
]
