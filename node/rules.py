"""The configuration in force. A changed rules.yaml is taken up while running; a broken one is reported and
the old rules stay."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from node.config import Config, load
from node.errors import ConfigurationError
from node.model import Step

log = logging.getLogger("node.rules")

_FIXED = ("ae_title", "listen", "data", "database", "status", "workers", "log", "secret", "watch")
"""Keys of `node:` that are read at start only."""


class Rules:
    """Holds the configuration; every part of the node asks `current` when it needs it."""

    def __init__(self, path: Path, steps: Mapping[str, type[Step]], config: Config | None = None) -> None:
        self.path, self._steps = path, steps
        self._config = config if config is not None else load(path, steps)
        self._lock = threading.Lock()
        self.reloads = 0
        self.broken = ""
        """Why the file as it is now is not in force; empty when it is."""

    def current(self) -> Config:
        return self._config

    def reload(self) -> bool:
        """Read the file again. False, and the old rules stay, when it is broken."""
        with self._lock:
            try:
                config = load(self.path, self._steps)
            except ConfigurationError as error:
                self.broken = str(error)
                log.error("rules.yaml is broken, the old rules stay:\n%s", error)
                return False
            self.broken = ""
            if config == self._config:
                return True
            waiting = [key for key in _FIXED if getattr(config.node, key) != getattr(self._config.node, key)]
            if waiting:
                log.warning("node: %s changed in rules.yaml; that takes effect at the next start", ", ".join(waiting))
            self._config = config
            self.reloads += 1
            log.info("rules.yaml is in force: %d routes, %d destinations", len(config.routes), len(config.destinations))
            return True


class RulesWatch:
    """Reloads when the file changes; editors replace files, so the folder is watched."""

    def __init__(self, rules: Rules, changed: Callable[[], None]) -> None:
        self._rules, self._changed = rules, changed
        self._wake, self._stop = threading.Event(), threading.Event()
        self._observer = Observer()
        self._observer.daemon = True
        self._observer.schedule(_Waker(rules.path, self._wake), str(rules.path.resolve().parent), recursive=False)
        self._thread = threading.Thread(target=self._run, name="rules", daemon=True)

    def start(self) -> None:
        self._observer.start()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        self._observer.stop()
        self._thread.join(5)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            if self._stop.is_set():
                return
            self._wake.clear()
            # An editor writes in several strokes; the last one within this time is the one that counts.
            while self._wake.wait(0.2) and not self._stop.is_set():
                self._wake.clear()
            if self._rules.reload():
                self._changed()


class _Waker(FileSystemEventHandler):
    def __init__(self, path: Path, wake: threading.Event) -> None:
        self._name, self._wake = path.name, wake

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in ("created", "modified", "moved", "deleted"):
            return
        if self._name in (Path(str(event.src_path)).name, Path(str(event.dest_path)).name):
            self._wake.set()
