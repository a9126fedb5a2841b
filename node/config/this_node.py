"""The `node:` part of rules.yaml: what this node is called, where it listens, what it keeps."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from node.config.secret import SecretPlace
from node.config.section import Section
from node.config.tls import ListenTls
from node.config.units import parse_size
from node.config.values import (
    Address,
    AETitle,
    Count,
    Duration,
    FilePath,
    HostPort,
    PositiveDuration,
    Shown,
    Size,
    Text,
    UidNames,
    one_or_list,
)


class Listen(Section):
    """One address that associations are accepted on."""

    address: HostPort
    """host:port; an IPv6 address in brackets. 2762 is the port registered for DICOM over TLS."""
    tls: ListenTls | None = None
    """TLS on this address; without it DICOM travels in clear."""


def _listen(value: Any) -> Any:
    return [v if isinstance(v, dict | Listen) else {"address": v} for v in one_or_list(value)]


class Database(Section):
    """Where the index and the jobs are."""

    url: Text = "sqlite"
    """`sqlite` (a file in `data`) or `postgresql://user@host/name`."""
    password: SecretPlace | None = None
    """Password for PostgreSQL."""

    @model_validator(mode="after")
    def _check(self) -> Database:
        if self.url == "sqlite":
            if self.password is not None:
                raise ValueError("sqlite takes no password")
            return self
        parts = urlsplit(self.url)
        if parts.scheme not in ("postgresql", "postgres") or not parts.path.strip("/"):
            raise ValueError("database is `sqlite` or postgresql://user@host/name")
        if parts.password is not None or "password=" in parts.query:
            raise ValueError(
                "a password is not written in this file: use {url: postgresql://user@host/name, password: {env: NAME}}"
            )
        return self


def _database(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


class Limits(Section):
    """What one sender, or all together, may use."""

    associations: Count = 64
    """Associations at the same time. For one more, the longest idle one is ended; with none idle, it is refused."""
    per_sender: Count = 16
    """Associations at the same time of one sender: calling AE title and address."""
    per_address: Count = 32
    """Associations at the same time from one address, whatever its AE titles."""
    idle: PositiveDuration = timedelta(minutes=15)
    """An association that sends nothing for so long is aborted."""
    instance: Size = parse_size("4GiB")
    """Largest instance taken."""
    keep_free: Size = parse_size("5GiB")
    """Free space on the disk of `data` below which instances are refused (0xA700)."""


class Keep(Section):
    """How long received bytes and results stay after every obligation is over."""

    received: Duration = timedelta(days=7)
    """Instances as received."""
    finished: Duration = timedelta(days=1)
    """What jobs made, and their work folders."""


class Commitment(Section):
    """What storage commitment promises (PS3.4 J): a sender deletes its copy on the answer."""

    proof: Literal["off", "stored", "delivered", "downstream"] = "delivered"
    """Success when the instance is in the spool, when the original was delivered, or when the destination has
    committed the original itself. `off`: requests are not accepted."""
    within: PositiveDuration = timedelta(days=1)
    """Longest wait for the proof; then the sender is told that there is none."""


def _commitment(value: Any) -> Any:
    return {"proof": value} if isinstance(value, str) else value


class Watch(Section):
    """A folder whose files are taken in like C-STORE."""

    path: FilePath
    """The folder; files in folders below it too. A file that is taken in is removed from it: never watch an archive."""
    as_: Annotated[AETitle | None, Field(alias="as")] = None
    """Called AE title under which its files are matched; default: the first of `ae_title`."""
    settle: PositiveDuration = timedelta(seconds=1)
    """A file is taken when it has not changed for so long and is whole. Longer for copies that fill in a file whose
    size was set before, as Windows does over a network."""


def _off(value: Any) -> Any:
    return None if value in ("off", False) else value


def _workers(value: Any) -> Any:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError("must be auto or a whole number from 1")


class Node(Section):
    """This node."""

    ae_title: Annotated[
        tuple[AETitle, ...], BeforeValidator(one_or_list), Field(min_length=1), Shown("AE title or list")
    ]
    """Called AE titles answered to; any other is refused at association."""
    listen: Annotated[
        tuple[Listen, ...],
        BeforeValidator(_listen),
        Field(min_length=1),
        Shown("host:port, `{address: host:port}` or list"),
    ] = (Listen(address=Address("127.0.0.1", 11112)),)
    """Where associations are accepted."""
    data: FilePath = Path("data")
    """Folder of everything the node keeps: spool, database, work, outbox."""
    database: Annotated[Database, BeforeValidator(_database), Shown("`sqlite`, URL or mapping")] = Database()
    """Where the index and the jobs are."""
    senders: Literal["anyone", "peers"] = "anyone"
    """Who may send: anyone, or only those in `peers`. Must be written when `listen` is not loopback."""
    sop_classes: UidNames = ()
    """Storage SOP classes that C-STORE may bring, by UID or keyword (`CTImageStorage`), in whichever presentation
    context; default: all."""
    transfer_syntaxes: UidNames = ()
    """Transfer syntaxes that are accepted, by UID or keyword (`ExplicitVRLittleEndian`); default: all."""
    limits: Limits = Limits()
    """What senders may use."""
    duplicates: Literal["newest", "first", "hold"] = "newest"
    """Same SOP Instance UID, other content: which one is processed."""
    keep: Keep = Keep()
    """How long files stay when nothing needs them any more. What is held or unrouted stays."""
    commitment: Annotated[
        Commitment, BeforeValidator(_commitment), Shown("`off`, `stored`, `delivered`, `downstream` or mapping")
    ] = Commitment()
    """What a request for storage commitment is answered by."""
    mpps: bool = False
    """Take Modality Performed Procedure Steps, as evidence of what a study has. They are not passed on."""
    watch: tuple[Watch, ...] = ()
    """Folders taken in like C-STORE."""
    status: Annotated[HostPort | None, BeforeValidator(_off), Shown("host:port or `off`")] = Address("127.0.0.1", 11180)
    """Where /healthz and /metrics answer."""
    receivers: Annotated[Literal["auto"] | int, BeforeValidator(_workers), Shown("`auto` or whole number from 1")] = (
        "auto"
    )
    """Processes that receive when associations are busy; auto is one per processor, with 1 the node receives itself.
    TLS is always received by the node itself."""
    workers: Annotated[Literal["auto"] | int, BeforeValidator(_workers), Shown("`auto` or whole number from 1")] = (
        "auto"
    )
    """Processes for work on pixels; auto is one per processor."""
    log: Literal["console", "json"] = "console"
    """Form of the log lines."""
    secret: SecretPlace | None = None
    """Key of the pseudonyms; default: a key made once in `data`."""
    former_secrets: tuple[SecretPlace, ...] = ()
    """Keys that `secret` was before, for patients who were mapped with them; see `dicom-node crosswalk rotate`. Those
    that the node made itself it keeps in `data`."""
