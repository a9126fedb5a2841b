"""Where a secret is. The secret itself never stands in rules.yaml, in a Config or in a log."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from node.config.section import Section
from node.config.values import FilePath, Shown, Text
from node.errors import ConfigurationError


class Secret(Section):
    """Where a secret is, never the secret: `{env: NAME}` or `{file: path}`. It is read when it is used."""

    env: Text | None = None
    """Name of an environment variable that holds the secret."""
    file: FilePath | None = None
    """File that holds the secret; the line end after it is left out."""

    def model_post_init(self, _: Any) -> None:
        if (self.env is None) == (self.file is None):
            raise ValueError("a secret is either {env: NAME} or {file: path}")

    def reveal(self) -> str:
        """The secret itself. Raises ConfigurationError when it is not there or empty."""
        if self.env is not None:
            value, place = os.environ.get(self.env, ""), f"environment variable {self.env}"
        else:
            place = f"file {self.file}"
            try:
                value = Path(str(self.file)).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"the secret in {place} cannot be read: {type(error).__name__}") from None
        if not value:
            raise ConfigurationError(f"the secret in {place} is not set")
        return value


def _not_written(value: Any) -> Any:
    if isinstance(value, str | int | float):
        raise ValueError("a secret is not written in this file: use {env: NAME} or {file: path}")
    return value


SecretPlace = Annotated[Secret, BeforeValidator(_not_written), Shown("`{env: NAME}` or `{file: path}`")]
