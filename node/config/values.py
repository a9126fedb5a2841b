"""The single values of rules.yaml that are more than text: AE titles, addresses, paths, durations, secrets."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, ValidationInfo, WithJsonSchema
from pydicom._uid_dict import UID_dictionary

from node.config.section import Fault, Surroundings, suggestion, wrong
from node.config.units import format_duration, format_size, parse_duration, parse_size

LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})


@dataclass(frozen=True, slots=True)
class Shown:
    """How the reference names the type of a value."""

    text: str


def _text(value: Any) -> Any:
    # `ae_title: 1234` is a number to YAML and text to everybody else; a float may have lost digits already.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _whole(value: Any) -> Any:
    if isinstance(value, bool):  # pydantic would read true as 1
        raise ValueError("must be a whole number")
    return value


Text = Annotated[str, BeforeValidator(_text), Shown("text")]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=1), Shown("whole number from 1")]


def ae_title(value: str) -> str:
    """Check an application entity title (PS3.5 6.2, AE): 1 to 16 characters, no backslash, no control character."""
    title = value.strip(" ")  # leading and trailing spaces are not significant
    if not title:
        raise ValueError("an AE title needs 1 to 16 characters that are not all spaces")
    if len(title) > 16:
        raise ValueError(f'AE title "{title}" is longer than 16 characters')
    if not re.fullmatch(r"[\x20-\x5b\x5d-\x7e]+", title):
        raise ValueError("an AE title has only ASCII characters, no backslash and no control character")
    return title


AETitle = Annotated[Text, AfterValidator(ae_title), Shown("AE title")]


def _number(text: str, port: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or int(port) > 65535:
        raise ValueError(f'"{text}" needs a port from 1 to 65535, such as 127.0.0.1:11112')
    return int(port)


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port. `host` has no brackets; `str()` puts them around an IPv6 address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """`127.0.0.1:11112`, `pacs.example:104` or `[::1]:11112`; port 0 asks for a free one. Raises ValueError."""
        host, _, port = text.strip().rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
            if not _is_ip(host, 6):
                raise ValueError(f'"{host}" is not an IPv6 address')
        elif ":" in host:
            raise ValueError(f'"{text}": write an IPv6 address in brackets, such as [::1]:11112')
        elif not re.fullmatch(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})", host):
            raise ValueError(f'"{text}" is not host:port, such as 127.0.0.1:11112 or [::1]:11112')
        return cls(host, _number(text, port))

    @property
    def loopback(self) -> bool:
        """True when only this machine can reach it."""
        if self.host.casefold() in LOCAL_NAMES:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def wildcard(self) -> bool:
        """True for 0.0.0.0 and ::, which stand for every address of this machine."""
        return self.host in ("0.0.0.0", "::")


def _is_ip(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Remote:
    """An application entity on the network: `ARCHIVE@127.0.0.1:11113`."""

    ae_title: str
    address: Address

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.address}"

    @classmethod
    def parse(cls, text: str) -> Remote:
        """Raises ValueError. The last @ parts title and address, as a title may hold one."""
        title, at, address = text.rpartition("@")
        if not at:
            raise ValueError(f'"{text}" is not AE@host:port, such as ARCHIVE@127.0.0.1:11113')
        found = Address.parse(address)
        if not found.port:
            raise ValueError(f'"{text}" needs a port from 1 to 65535, such as ARCHIVE@127.0.0.1:11113')
        return cls(ae_title(title), found)


def _parsed(kind: Any) -> BeforeValidator:
    def read(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        if not isinstance(value, str):
            raise ValueError("must be " + ("AE@host:port" if kind is Remote else "host:port, such as 127.0.0.1:11112"))
        return kind.parse(value)

    return BeforeValidator(read)


HostPort = Annotated[
    Address, _parsed(Address), PlainSerializer(str), WithJsonSchema({"type": "string"}), Shown("host:port")
]
RemoteAE = Annotated[
    Remote, _parsed(Remote), PlainSerializer(str), WithJsonSchema({"type": "string"}), Shown("AE@host:port")
]


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be a duration, such as 60s, 5m, 1h30m or 7d")
    return parse_duration(str(value))


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema({"type": "string", "examples": ["60s", "5m", "1h30m", "7d"]}),
    Shown("duration"),
]


def _positive(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than 0s")
    return value


PositiveDuration = Annotated[Duration, AfterValidator(_positive)]


def _size(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("must be a size, such as 512MB or 5GiB")
    return parse_size(value)


Size = Annotated[
    int,
    BeforeValidator(_size),
    PlainSerializer(format_size, when_used="json"),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["512MB", "5GiB"]}),
    Shown("size"),
]


def resolved(path: Path, info: ValidationInfo) -> Path:
    """A relative path starts at the folder of rules.yaml, not where the program was started."""
    if not path.parts:
        raise ValueError("a path is empty")
    if isinstance(info.context, Surroundings):
        return info.context.folder / path.expanduser()
    return path


FilePath = Annotated[Path, AfterValidator(resolved), WithJsonSchema({"type": "string"}), Shown("path")]


def one_or_list(value: Any) -> Any:
    """`a` is `[a]`."""
    return value if isinstance(value, list | tuple) else [value]


_UID_OF = {entry[4]: uid for uid, entry in UID_dictionary.items() if entry[4]}


def _uid(value: str) -> str:
    if re.fullmatch(r"[0-2](?:\.[0-9]+)+", value) and len(value) <= 64:
        return value
    if value not in _UID_OF:
        raise ValueError(f'"{value}" is neither a UID nor the keyword of one.{suggestion(value, _UID_OF)}')
    return _UID_OF[value]


UidNames = Annotated[
    tuple[Annotated[Text, AfterValidator(_uid)], ...], BeforeValidator(one_or_list), Shown("UID, keyword or list")
]


def named(kind: str) -> AfterValidator:
    """Names of peers and destinations stand in logs, folders and commands, so they are plain words."""

    def check(names: dict[str, Any]) -> dict[str, Any]:
        bad = [n for n in names if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", n)]
        if bad:
            raise wrong(
                Fault((n,), f'"{n}" cannot name a {kind}: use letters, digits, "_", "-", "."', True) for n in bad
            )
        return names

    return AfterValidator(check)
