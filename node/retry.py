"""When something that failed is tried again. Pure: no clock, no chance.

Waits grow by a factor up to a cap. Each is shortened by up to a tenth, so that what failed together, when a
peer went away, does not come back together. The part is drawn from the key and the attempt by a hash: after a restart
the same try falls on the same moment.
"""

from __future__ import annotations

import hashlib
import math
from datetime import datetime, timedelta

from node.config.destinations import Retry

_SPREAD = 0.1
"""Largest part of a wait that is taken off. A tenth spreads a thousand deliveries at a cap of 1 h over 6 min."""


def wait(attempt: int, policy: Retry) -> timedelta:
    """The full wait after this many failed attempts (from 1), before it is spread."""
    if attempt < 1:
        raise ValueError("attempts count from 1")
    growth = policy.at_most / policy.first
    # By logarithm first: 2.0 ** 1100 is an OverflowError, and a peer may be away for that long.
    if policy.factor > 1 and (attempt - 1) * math.log(policy.factor) >= math.log(growth):
        return policy.at_most
    return min(policy.at_most, policy.first * policy.factor ** (attempt - 1))


def next_try(attempt: int, policy: Retry, first_failure: datetime, now: datetime, key: str) -> datetime | None:
    """The moment of the next try; None when it is time to give up.

    attempt        failed attempts so far, from 1
    first_failure  aware; the first failure of this run of failures
    now            aware; the moment of the latest failure
    key            what is tried, such as a delivery's id

    Never before `now`, never more than `policy.at_most` after it, never after `first_failure + give_up`: a wait that
    would end later ends there, as one last try.
    """
    end = first_failure + policy.give_up
    if now >= end:
        return None
    digest = hashlib.sha256(f"{key}\0{attempt}".encode()).digest()
    part = int.from_bytes(digest[:8], "big") / 2**64
    return min(end, now + wait(attempt, policy) * (1 - _SPREAD * part))
