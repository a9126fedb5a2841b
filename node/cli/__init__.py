"""The command line. `--help` must answer at once, so what is heavy is imported inside the commands."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from node.errors import ConfigurationError, TryAgain

if TYPE_CHECKING:
    from sqlalchemy.exc import DatabaseError


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
    except _database_errors() as error:
        if type(error).__name__ not in ("OperationalError", "DatabaseError"):
            raise  # a query that is wrong is a fault in the node
        print(f"the database cannot be used: {error.orig}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # The reader went away, as `| head` does. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        # Of a copy the first name is where from; it is the other disk that is full.
        place = f"{error.filename2 or error.filename}: " if error.filename else ""
        print(f"{place}{error.strerror or error}", file=sys.stderr)
        sys.exit(1)


def _database_errors() -> tuple[type[DatabaseError], ...]:
    """What a database that is locked, full, damaged or gone raises; none while no command has come to use one.

    Asked only when something was raised: before, it would import SQLAlchemy for `--help`.
    """
    if "sqlalchemy" not in sys.modules:
        return ()
    from sqlalchemy.exc import DatabaseError

    return (DatabaseError,)
