"""The configuration in force. A changed rules.yaml is taken up while running; a broken one is reported and
the old rules stay."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from node.config import Config, load
from node.errors import ConfigurationError
from node.model import Step
from node.watching import Watching

log = logging.getLogger("node.rules")

_FIXED = ("ae_title", "listen", "data", "database", "status", "workers", "log", "secret", "watch")
"""Keys of `node:` that are read at start only."""


class Rules:
    """Holds the configuration; every part of the node asks `current` when it needs it."""

    def __init__(self, path: Path, steps: Mapping[str, type[Step]], config: Config | None = None) -> None:
        self.path, self._steps = path, steps
        self.stamp = stamp(path)
        """Of the file that was read last."""
        self._config = config if config is not None else load(path, steps)
        self._lock = threading.Lock()
        self.reloads = 0
        self.broken = ""
        """Why the file as it is now is not in force; empty when it is."""
        self._waiting: list[str] = []
        """Keys of `node:` that the file has otherwise than this process."""

    def current(self) -> Config:
        return self._config

    def reload(self) -> bool:
        """Read the file again. False, and the old rules stay, when it is broken."""
        with self._lock:
            self.stamp = stamp(self.path)  # before it is read: a change meanwhile is another change
            try:
                config = load(self.path, self._steps)
            except ConfigurationError as error:
                log.error("rules.yaml is broken, the old rules stay:\n%s", error)
                self.broken = str(error)
                return False
            if config == self._config:
                if self.broken or self._waiting:
                    log.info("rules.yaml says again what is in force")
                self.broken, self._waiting = "", []
                return True
            self.broken = ""
            waiting = [key for key in _FIXED if getattr(config.node, key) != getattr(self._config.node, key)]
            self._waiting = waiting
            if waiting:
                log.warning("node: %s changed in rules.yaml; that takes effect at the next start", ", ".join(waiting))
                as_before = {key: getattr(self._config.node, key) for key in waiting}
                config = config.model_copy(update={"node": config.node.model_copy(update=as_before)})
            self._config = config
            self.reloads += 1
            log.info("rules.yaml is in force: %d routes, %d destinations", len(config.routes), len(config.destinations))
            return True


Stamp = tuple[int, int, int, int]


def stamp(path: Path) -> Stamp | None:
    """Changes whenever the content of a file may have: also when another file, or what a link leads to, took its
    name. None when there is none."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


class RulesWatch:
    """Reloads when the file changes. Editors replace files and Kubernetes the folder behind a link, so the folder is
    watched and the file looked at; where the system tells nothing (NFS, no watches left), every few seconds."""

    def __init__(self, rules: Rules, changed: Callable[[], None], *, look: float = 5.0) -> None:
        """look: seconds between looks when nothing was told."""
        self._rules, self._changed, self._look = rules, changed, look
        self._wake, self._stop = threading.Event(), threading.Event()
        folders = {rules.path.absolute().parent, rules.path.resolve().parent}
        self._watching = Watching(self._wake, folders, ("created", "modified", "moved", "deleted"))
        self._thread = threading.Thread(target=self._run, name="rules", daemon=True)

    def start(self) -> None:
        try:
            self._watching.start()
        except OSError as error:
            log.warning("the folder of rules.yaml cannot be watched (%s); it is looked at instead", error.strerror)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        self._watching.stop()
        self._thread.join(5)

    def read_again(self) -> None:
        """Soon, also where the file looks as it did when it was read last."""
        log.info("rules.yaml is read again, as asked")
        self._rules.stamp = None
        self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(self._look)
            self._wake.clear()
            if stamp(self._rules.path) != self._rules.stamp and self._settled() and self._rules.reload():
                self._changed()

    def _settled(self) -> bool:
        """An editor writes in several strokes, and may take the file away for a moment: wait, up to two seconds,
        until it stays as it is. False when the node stops."""
        before = stamp(self._rules.path)
        for _ in range(10):
            if self._stop.wait(0.2):
                return False
            now = stamp(self._rules.path)
            if now == before and now is not None:
                break
            before = now
        return True
