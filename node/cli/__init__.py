"""The command line. `--help` must answer at once, so what is heavy is imported inside the commands."""

from __future__ import annotations

import sys

from node.errors import ConfigurationError


def main() -> None:
    """Exit 0 done, 1 found a problem, 2 bad usage or configuration."""
    from node.cli.app import app

    try:
        app()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
