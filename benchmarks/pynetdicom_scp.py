"""The storage SCP of pynetdicom's own documentation: its default settings, each instance written as it came.

    python benchmarks/pynetdicom_scp.py FOLDER

Two departures, so that it takes part: more than its ten associations may be open, and the port is any free one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pynetdicom import AE, AllStoragePresentationContexts, evt


def store(event: evt.Event, folder: Path) -> int:
    """As the example "Storage SCP" of pynetdicom's documentation that skips decoding the data set."""
    request: Any = event.request
    (folder / f"{request.AffectedSOPInstanceUID}.dcm").write_bytes(event.encoded_dataset())
    return 0x0000


def main() -> None:
    ae = AE("NODE")
    ae.supported_contexts = AllStoragePresentationContexts
    ae.maximum_associations = 100
    handlers: list[Any] = [(evt.EVT_C_STORE, store, [Path(sys.argv[1])])]
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    print(f"listening on {server.socket.getsockname()[1]}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
