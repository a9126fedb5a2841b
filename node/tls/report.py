"""What the files of `tls:` are worth: for `dicom-node check`, `/metrics` and the log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from node.config import Config
from node.errors import ConfigurationError, Problem
from node.tls.certificates import expiry
from node.tls.profile import client_context, server_context

SOON = 30
"""Days before its end when a certificate is named."""


def _own(config: Config) -> Iterator[tuple[str, Path]]:
    """(where it stands in rules.yaml, file) of every certificate that is ours."""
    for number, entry in enumerate(config.node.listen):
        if entry.tls is not None:
            yield f"node.listen[{number}]", entry.tls.certificate
    for name, destination in config.destinations.items():
        if destination.tls is not None and destination.tls.certificate is not None:
            yield f"destinations.{name}", destination.tls.certificate


def days_left(config: Config, now: datetime) -> Mapping[str, float]:
    """Days until each of our certificates ends, by its place in rules.yaml; below 0 once it is over.

    One that cannot be read is left out: `problems` names it.
    """
    found = {}
    for place, path in _own(config):
        with suppress(ConfigurationError):
            found[place] = (expiry(path) - now).total_seconds() / 86_400
    return found


def problems(config: Config, file: str) -> list[Problem]:
    """Files that are not there, are no certificates, or do not belong together."""
    found = []
    for number, entry in enumerate(config.node.listen):
        if entry.tls is not None:
            try:
                server_context(entry.tls)
            except ConfigurationError as error:
                found.append(Problem(file, 0, 0, f"node.listen[{number}].tls", str(error)))
    for name, destination in config.destinations.items():
        if destination.tls is not None:
            try:
                client_context(destination.tls)
            except ConfigurationError as error:
                found.append(Problem(file, 0, 0, f"destinations.{name}.tls", str(error)))
    return found


def warnings(config: Config, now: datetime) -> list[str]:
    """Certificates that end soon."""
    return [
        f"{place}.tls: the certificate ends in {days:.0f} days" if days > 0
        else f"{place}.tls: the certificate ended {-days:.0f} days ago"
        for place, days in days_left(config, now).items()
        if days < SOON
    ]  # fmt: skip
