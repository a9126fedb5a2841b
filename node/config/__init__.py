"""rules.yaml: read, checked and compiled. No network, no database; the steps there are come as an argument.

reader -> section, values, units       text, marks and single values
schema <- peers, destinations, tls, when, options
load   <- checks, flow                 what must fit together
reference, editor                      docs/CONFIGURATION.md, JSON Schema
"""

from __future__ import annotations

from node.config.conditions import Condition, Finding, Members
from node.config.destinations import Destination, Retry
from node.config.identity import Identity
from node.config.load import load, load_text
from node.config.options import thaw
from node.config.peers import Completion, Peer
from node.config.schema import Config, Route, RouteTest, freeze
from node.config.secret import Secret
from node.config.this_node import Node, Watch
from node.config.tls import DestinationTls, ListenTls
from node.config.values import Address, Remote

__all__ = [
    "Address",
    "Completion",
    "Condition",
    "Config",
    "Destination",
    "DestinationTls",
    "Finding",
    "Identity",
    "ListenTls",
    "Members",
    "Node",
    "Peer",
    "Remote",
    "Retry",
    "Route",
    "RouteTest",
    "Secret",
    "Watch",
    "freeze",
    "load",
    "load_text",
    "thaw",
]
