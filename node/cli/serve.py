"""`dicom-node serve`"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path


def serve(path: Path) -> int:
    from node.config import load
    from node.report.log import configure
    from node.service import build
    from node.steps import STEPS

    config = load(path, STEPS)
    configure(config.node.log)
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    service = build(path, config=config)
    try:
        service.start()
    except OSError as error:
        print(f"node: listen: cannot listen: {error.strerror or error}", file=sys.stderr)
        service.stop(1.0)
        return 2
    addresses = ", ".join(f"{host}:{port}" for host, port in service.listening)
    print(f"dicom-node ready: {'/'.join(config.node.ae_title)} on {addresses}, data in {config.node.data}", flush=True)
    done.wait()
    service.stop()
    return 0
