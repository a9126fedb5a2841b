"""The parcels of one delivery over several associations: each takes the next when the one before is answered.

Most of the time of an instance passes at the peer, which writes it before it answers. A second association is asked
for, never insisted on: an archive that lets one in at a time gets everything over that one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

from node.deliver.base import Parcel
from node.errors import TryAgain

log = logging.getLogger("node.deliver")

A = TypeVar("A")


class Left:
    """What nobody has taken yet, in order. For any thread."""

    def __init__(self, parcels: Sequence[Parcel]) -> None:
        self._lock = threading.Lock()
        self._parcels = iter(parcels)
        self._over = False

    def __iter__(self) -> Iterator[Parcel]:
        while (parcel := self._next()) is not None:
            yield parcel

    def end(self) -> None:
        """Nobody takes another one."""
        self._over = True

    def _next(self) -> Parcel | None:
        with self._lock:
            return None if self._over else next(self._parcels, None)


def over_several(
    most: int, parcels: Sequence[Parcel], open: Callable[[], AbstractContextManager[A]],
    store: Callable[[A, Left], None], as_good: Callable[[A, A], bool], peer: str,
) -> None:  # fmt: skip
    """Bring `parcels` over `most` associations at the same time, or as many as the peer takes.

    open    an association; raises TryAgain when there is none
    store   brings what it takes from those that are left over one association, until there is none left
    as_good     whether a further association takes whatever the first one does; over one that does not, an instance
                would be refused that the other one brings

    Raises what `open` raised for the first one, and what any `store` raised. Then the other associations have ended
    too, each after the parcel that it had in hand.
    """
    left = Left(parcels)

    def one(association: A) -> None:
        try:
            store(association, left)
        finally:  # when it raised, the others take no more; when it did not, there is none left
            left.end()

    def further(first: A) -> None:
        with ExitStack() as opened:
            try:
                association = opened.enter_context(open())
            except TryAgain as why:
                log.info("%s takes no further association: %s", peer, why)
                return
            if as_good(association, first):
                one(association)
            else:
                log.info("%s accepts less on a further association; everything goes over the first one", peer)

    others: list[Future[None]] = []
    # The first one is over before the others are waited for: a peer that serves one after the other answers the
    # request for the second only then.
    with ThreadPoolExecutor(most, thread_name_prefix="association") as threads, open() as first:
        others += [threads.submit(further, first) for _ in range(most - 1)]
        one(first)
    for other in others:
        other.result()
