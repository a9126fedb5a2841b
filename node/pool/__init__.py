"""Killable worker processes for what is heavy on the processor."""

from node.pool.deadline import at_most
from node.pool.pool import Pool, WorkerDied
from node.pool.worker import WORLD, Bug

__all__ = ["WORLD", "Bug", "Pool", "WorkerDied", "at_most"]
