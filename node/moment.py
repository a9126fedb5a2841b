"""The real clock and the real ids. Passed in by `service`; a test passes its own."""

from __future__ import annotations

import os
import secrets
import socket
import time
from datetime import UTC, datetime

from node.model import ReceiptId


def utc_now() -> datetime:
    return datetime.now(UTC)


def new_receipt() -> ReceiptId:
    """12 hexadecimal digits of milliseconds, then 20 random ones: sorts by time, collides never."""
    return ReceiptId(f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}")


def process_name() -> str:
    """Unique for every start, so that a restarted process is never taken for its predecessor."""
    host = "".join(c if c.isalnum() or c == "-" else "-" for c in socket.gethostname())[:24]
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}".lower()
