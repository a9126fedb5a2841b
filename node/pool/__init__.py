"""Killable worker processes for what is heavy on the processor."""

from node.pool.pool import Pool, WorkerDied
from node.pool.worker import Bug

__all__ = ["Bug", "Pool", "WorkerDied"]
