"""What must fit together in rules.yaml, beyond each value on its own. Pure: a Config in, faults out."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from node.config.conditions import Always, Otherwise
from node.config.elements import parse_element
from node.config.flow import check_flow, deidentifies
from node.config.schema import Config, Route
from node.config.section import Fault, suggestion
from node.config.values import LOCAL_NAMES, Address
from node.config.when import ORIGIN
from node.model import UnitKind


def check(config: Config, *, whole: bool = True) -> Iterator[Fault]:
    """Every fault between the parts. `whole` False: some routes are missing, so nothing is said about their absence."""
    yield from _listening(config)
    yield from _sources(config)
    yield from _destinations(config)
    yield from _folders(config)
    yield from _names(config)
    for index, route in enumerate(config.routes):
        yield from (
            Fault(("routes", index, "steps", *f.loc), f.text) for f in check_flow(route.chain, config.destinations)
        )
    if whole:
        yield from _order(config.routes)
        yield from _tests(config)


def _listening(config: Config) -> Iterator[Fault]:
    node = config.node
    for place, listen in enumerate(node.listen):
        if not listen.address.loopback and "senders" not in node.model_fields_set:
            yield Fault(
                ("node", "listen", place),
                f"{listen.address} is open to the network: write `senders: peers`, or `senders: anyone` if meant",
            )
    if node.senders == "peers" and not config.peers:
        yield Fault(("node", "senders"), "only peers may send, and there are none: add them below `peers:`")
    asks = any(listen.tls is not None and listen.tls.clients != "none" for listen in node.listen)
    for name, peer in config.peers.items():
        if peer.certificate and not asks:
            yield Fault(
                ("peers", name, "certificate"),
                f'"{name}" could never show its certificate: no entry of `listen` has tls and asks for one',
            )
    addresses = [listen.address for listen in node.listen]
    for place, address in enumerate(addresses):
        if address in addresses[:place]:
            yield Fault(("node", "listen", place), f"{address} is given twice")
    if node.status is not None and any(_meet(node.status, address) for address in addresses):
        yield Fault(("node", "status"), f"{node.status} is already taken by `listen`")


def _meet(one: Address, other: Address) -> bool:
    return one.port == other.port and (one.host == other.host or one.wildcard or other.wildcard)


def _sources(config: Config) -> Iterator[Fault]:
    for name, peer in config.peers.items():
        finds = "find" in config.evidence_of(peer)
        if finds and peer.source is None:
            loc = ("peers", name, "evidence") if peer.evidence is not None else ("peers", name)
            yield Fault(
                loc,
                f'"{name}" is to be asked by C-FIND, and where is not known: '
                "give it one address as `host` and a `port`, or name them in `query`",
            )
        if peer.pull is not None and not finds:
            yield Fault(
                ("peers", name, "pull"),
                f'what is missing from "{name}" is known by C-FIND only: add `find` to its `evidence`',
            )
        titles = {other.ae_title for other in config.peers.values()}
        if (
            peer.pull == "move"
            and config.node.senders == "peers"
            and peer.source
            and peer.source.ae_title not in titles
        ):
            yield Fault(
                ("peers", name, "pull"),
                f"{peer.source.ae_title} opens associations to this node for what it is to move here, and "
                f"`senders: peers` does not admit it: add {peer.source.ae_title} to `peers`, or say `pull: get`",
            )
        if peer.query is not None and not finds:
            yield Fault(("peers", name, "query"), f'"{name}" is never asked: add `find` to its `evidence`')
        source = peer.source
        if finds and source is not None and _is_this_node(config, source.ae_title, source.address):
            yield Fault(("peers", name), f'"{name}" is to be asked by C-FIND, and it is this node itself')


def _destinations(config: Config) -> Iterator[Fault]:
    anonymizes = any(deidentifies(step) for route in config.routes for step in route.chain)
    for name, destination in config.destinations.items():
        if destination.accepts is None and anonymizes:
            yield Fault(
                ("destinations", name),
                f'"{name}" needs `accepts: deidentified` or `accepts: identified`, as there is a route that anonymizes',
            )
        if destination.dicom is not None and _is_this_node(
            config, destination.dicom.ae_title, destination.dicom.address
        ):
            yield Fault(("destinations", name, "dicom"), f'"{name}" is this node itself: what it sends would come back')


def _is_this_node(config: Config, ae_title: str, target: Address) -> bool:
    """By address, or by title and port: behind a second name of this machine the title is still ours."""
    host = target.host.casefold()
    for listen in (entry.address for entry in config.node.listen):
        if listen.port != target.port:
            continue
        local = target.loopback or host in LOCAL_NAMES or host == socket.gethostname().casefold()
        if host == listen.host.casefold() or target.wildcard or ae_title in config.node.ae_title:
            return True
        if local and (listen.loopback or listen.wildcard or host == socket.gethostname().casefold()):
            return True
    return False


_OWN = ("spool", "outbox", "work", "run", "secrets")
"""Folders in `data` that are the node's alone."""


def _folders(config: Config) -> Iterator[Fault]:
    own = [config.node.data / name for name in _OWN]
    watched = [entry.path for entry in config.node.watch]
    outputs = {name: d.folder for name, d in config.destinations.items() if d.folder is not None}
    for name, folder in outputs.items():
        if folder == config.node.data or any(folder.is_relative_to(one) for one in own):
            text = f'"{name}" is in what the node keeps for itself, and removes or holds: name a folder outside `data`'
            yield Fault(("destinations", name, "folder"), text)
    for place, entry in enumerate(config.node.watch):
        loc = ("node", "watch", place)
        if entry.path in watched[:place]:
            yield Fault((*loc, "path"), "this folder is watched twice")
        if config.node.data.is_relative_to(entry.path) or entry.path.is_relative_to(config.node.data):
            yield Fault((*loc, "path"), "a watched folder and `data` must not be in each other")
        if entry.as_ is not None and entry.as_ not in config.node.ae_title:
            yield Fault((*loc, "as"), f'"{entry.as_}" is not an `ae_title` of this node')
        for name, folder in outputs.items():
            if folder.is_relative_to(entry.path):
                yield Fault(("destinations", name, "folder"), f'"{name}" is in a watched folder: it would come back')


def _names(config: Config) -> Iterator[Fault]:
    names = [route.name for route in config.routes]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Fault(("routes", index, "name"), f'a route named "{name}" is there already')


def _order(routes: tuple[Route, ...]) -> Iterator[Fault]:
    """Routes that can never take anything, or not what they seem to. Each kind of unit is searched on its own."""
    for kind in UnitKind:
        places = [(i, route) for i, route in enumerate(routes) if route.unit is kind]
        otherwise = [i for i, route in places if isinstance(route.when, Otherwise)]
        always = [route for _, route in places if isinstance(route.when, Always)]
        for i in otherwise:
            if len(places) == len(otherwise) and len(places) < len(routes):
                yield Fault(
                    ("routes", i, "when"),
                    f"`otherwise` looks only at other routes with `unit: {kind}`, and there are none: "
                    "give it the unit of the others, or write `always`",
                )
            if always:
                yield Fault(("routes", i, "when"), f'never reached: "{always[0].name}" takes every {kind}')
        for i in otherwise[1:]:
            yield Fault(("routes", i, "when"), f"there is another `otherwise` for {kind}: join them")
        stops = [i for i, route in places if isinstance(route.when, Always) and route.stop]
        for i, route in places:
            if stops and i > stops[0] and not isinstance(route.when, Otherwise):
                yield Fault(("routes", i), f'never reached: "{routes[stops[0]].name}" takes every {kind} and stops')


def _tests(config: Config) -> Iterator[Fault]:
    names = [route.name for route in config.routes]
    for index, test in enumerate(config.tests):
        for place, name in enumerate(test.expect):
            if name not in names:
                loc = ("tests", index, "expect", place)
                yield Fault(loc, f'there is no route "{name}".{suggestion(name, names)}')
        for place, given in enumerate(test.given):
            for key in given:
                if key not in ORIGIN and (text := _unreadable(key)):
                    yield Fault(("tests", index, "given", place, key), text, on_key=True)


def _unreadable(element: str) -> str:
    try:
        parse_element(element)
    except ValueError as error:
        return str(error)
    return ""
