"""rules.yaml -> Config, or every mistake in it at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from node.config.checks import check
from node.config.reader import Document, read
from node.config.schema import Config
from node.config.section import ON_KEY, Loc, Surroundings
from node.errors import ConfigurationError, Problem


def load(path: Path, steps: Mapping[str, type[Any]]) -> Config:
    """Read, validate and check a file. `steps` is the registry: the steps there are, by name.

    Relative paths start at the folder of the file. Raises ConfigurationError with every problem, in the order
    of the file.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError([Problem(str(path), 0, 0, "", f"cannot be read: {reason}")]) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError([Problem(str(path), 0, 0, "", f"is not UTF-8 at byte {error.start}")]) from None
    return load_text(text, steps, file=str(path), folder=path.resolve().parent)


def load_text(text: str, steps: Mapping[str, type[Any]], *, file: str = "rules.yaml", folder: Path) -> Config:
    """As `load`, for a text."""
    document = read(text, file)
    problems = list(document.problems)
    config: Config | None = None
    if document.data is not None:
        around = Surroundings(folder=folder, steps=steps)
        config, found = _validated(document, around)
        problems += found
    elif not problems:
        problems.append(document.problem((), "the file is empty"))
    if problems or config is None:
        raise ConfigurationError(sorted(set(problems), key=lambda p: (p.line, p.column, p.path, p.text)))
    return config


def _validated(document: Document, around: Surroundings) -> tuple[Config | None, list[Problem]]:
    try:
        config = Config.model_validate(document.data, context=around)
    except ValidationError as error:
        problems = [document.problem(e["loc"], e["msg"], on_key=e["type"] == ON_KEY) for e in error.errors()]
        return None, problems + _checked_without_broken_routes(document, around, error)
    found = [document.problem(fault.loc, fault.text, on_key=fault.on_key) for fault in check(config)]
    return config, found


def _checked_without_broken_routes(document: Document, around: Surroundings, error: ValidationError) -> list[Problem]:
    """What the other routes get wrong beside the broken ones, so that one load names it all.

    Only when the rest of the file is sound: with a broken destination every forward to it would look wrong too.
    Tests are left out, as they may expect a route that is broken.
    """
    places: list[Loc] = [e["loc"] for e in error.errors()]
    if not all(loc[:1] == ("tests",) or (loc[:1] == ("routes",) and len(loc) > 1) for loc in places):
        return []
    broken = {loc[1] for loc in places if loc[0] == "routes"}
    kept = [i for i in range(len(document.data.get("routes", ()))) if i not in broken]
    sound = {**document.data, "routes": [document.data["routes"][i] for i in kept], "tests": []}
    try:
        config = Config.model_validate(sound, context=around)
    except ValidationError:
        return []
    found: list[Problem] = []
    for fault in check(config, whole=False):
        top, *rest = fault.loc
        loc = ("routes", kept[int(rest[0])], *rest[1:]) if top == "routes" and rest else fault.loc
        found.append(document.problem(loc, fault.text, on_key=fault.on_key))
    return found
