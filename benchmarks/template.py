"""One encoded data set, and where in it instances differ: what a sender needs to be any number of them.

An instance is the template with other UIDs, instance number and position, all of the same length, so that a sender
writes a few bytes per instance and encodes nothing. Standard library only: senders are processes that start at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = "1.2.826.0.1.3680043.8.498"
"""Of every UID here: the root that pydicom gives to everyone."""


@dataclass(frozen=True, slots=True)
class Which:
    """One instance of a run. `run` keeps the UIDs of two runs apart; each number counts from 0."""

    run: int
    series: int
    number: int

    def values(self) -> dict[str, bytes]:
        """The bytes that differ between instances, by field; always as long. No part of a UID begins with 0."""
        study = f"{ROOT}.{10**10 + self.run}"
        return {
            "study": f"{study}.1000.1000000".encode(),
            "series": f"{study}.{1001 + self.series}.1000000".encode(),
            "instance": self.instance.encode(),
            "number": f"{self.number:06d}".encode(),
            "position": f"{self.number * 0.625:010.3f}".encode(),
        }

    @property
    def instance(self) -> str:
        """SOP Instance UID, of even length: a value of odd length would need padding."""
        return f"{ROOT}.{10**10 + self.run}.{1001 + self.series}.{1000001 + self.number}"


@dataclass(frozen=True, slots=True)
class Template:
    """One image as a data set in explicit VR little endian."""

    name: str
    """CT 512x512, for instance."""
    sop_class: str
    dataset: bytes
    places: Mapping[str, tuple[int, ...]]
    """Field of `Which.values` -> byte offsets in `dataset`."""

    def instance(self, which: Which) -> bytes:
        """The data set of one instance."""
        data = bytearray(self.dataset)
        for name, value in which.values().items():
            for place in self.places[name]:
                data[place : place + len(value)] = value
        return bytes(data)

    def save(self, path: Path) -> None:
        """For `load` in another process."""
        path.write_bytes(json.dumps({**asdict(self), "dataset": ""}).encode() + b"\n" + self.dataset)


def load(path: Path) -> Template:
    head, _, dataset = path.read_bytes().partition(b"\n")
    found = json.loads(head)
    places = {name: tuple(found["places"][name]) for name in found["places"]}
    return Template(found["name"], found["sop_class"], dataset, places)
