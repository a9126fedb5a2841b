"""Killable worker processes for what is heavy on the processor."""

from node.pool.deadline import at_most
from node.pool.pool import Pool, WorkerDied
from node.pool.room import Room
from node.pool.worker import WORLD, Bug

__all__ = ["WORLD", "Bug", "Pool", "Room", "WorkerDied", "at_most"]
