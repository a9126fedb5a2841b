"""Instances exactly as received, with their provenance. The file is the truth; the index is derived."""

from node.spool.files import Files
from node.spool.ground import set_apart
from node.spool.presence import Presence, Seen
from node.spool.spool import Incoming, Kept, Spool

__all__ = ["Files", "Incoming", "Kept", "Presence", "Seen", "Spool", "set_apart"]
