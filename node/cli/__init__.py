"""The command line. `--help` must answer at once, so what is heavy is imported inside the commands."""

from __future__ import annotations

import os
import sys

from node.errors import ConfigurationError, TryAgain


def main() -> None:
    """Exit 0 done, 1 found a problem, 2 bad usage or configuration."""
    from node.cli.app import app

    try:
        app()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except TryAgain as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # The reader went away, as `| head` does. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"{place}{error.strerror or error}", file=sys.stderr)
        sys.exit(1)
