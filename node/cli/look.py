"""Commands that only read: status, explain, ledger."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from node.cli.opened import opened
from node.cli.table import show

_NAMED = 20
"""Receipts of one reason that are printed."""


def ledger(path: Path, as_json: bool) -> int:
    from node.model import State
    from node.report.health import take_ledger

    with opened(path) as node, node.database.reader.connect() as connection:
        found = take_ledger(connection, node.spool, node.config.routed)
    if as_json:
        facts: dict[str, Any] = {state.value: n for state, n in found.states.items()}
        print(json.dumps({**facts, "acknowledged": found.acknowledged, "balanced": found.balanced}))
    else:
        counts = [(state.value, found.states[state], "", "") for state in State]
        show([*counts, ("acknowledged", found.acknowledged, "balanced" if found.balanced else "NOT BALANCED", "")])
        if found.unindexed:
            print(f"{found.unindexed} in the spool have no row yet; a running node indexes them", file=sys.stderr)
        for receipt in found.unaccounted[:20]:
            print(f"instance {receipt} is nowhere: please report this, with `ledger --verify`", file=sys.stderr)
        for receipt in found.missing[:20]:
            print(
                f"instance {receipt} is needed, and its file is not in the spool: see `ledger --verify`",
                file=sys.stderr,
            )
    return 0 if found.balanced else 1


def status(path: Path, as_json: bool) -> int:
    from node.index.overview import overview

    with opened(path) as node, node.database.reader.connect() as connection:
        facts = overview(connection, node.config.routed)
    if as_json:
        print(json.dumps(facts))
        return 1 if facts["held"] else 0
    rows = [("open units", facts["open"], "", ""), ("queued jobs", facts["queued"], "", "")]
    rows.append(("running jobs", facts["running"], "", ""))
    for one in facts["deliveries"]:
        due = f", next try {_moment(one['next_at'])}" if one["next_at"] else ""
        rows.append(("waiting", one["files"], f"for {one['destination']}{due}", one["reason"]))
    for one in facts["commitments"]:
        due = f", next report {_moment(one['next_at'])}" if not one["waiting"] else ""
        how_far = f"{one['committed']} committed, {one['failed']} failed"
        asker = f"for commitment to {one['calling_ae']}, transaction {one['transaction']}: {how_far}{due}"
        rows.append(("waiting", one["waiting"], asker, one["reason"]))
    for one in facts["held"]:
        rows.append(("held", one["instances"], one["where"], one["reason"]))
        receipts = one.get("receipts", [])
        rows += [("", 1, f"receipt {r['receipt']}", _named(r)) for r in receipts[:_NAMED]]
        if len(receipts) > _NAMED:
            rows.append(("", len(receipts) - _NAMED, "more", "--json names them all"))
    show(rows)
    return 1 if facts["held"] else 0


def _named(one: dict[str, Any]) -> str:
    if not one["sop_instance"]:
        return "its file does not say what it is"
    return f"instance {one['sop_instance']} of series {one['series']}"


def explain(uid: str, path: Path, as_json: bool) -> int:
    from node.index.story import story

    with opened(path) as node, node.database.reader.connect() as connection:
        facts = story(connection, uid, node.config.routed)
    if facts is None:
        print(f"{uid} was never received here", file=sys.stderr)
        return 1
    print(json.dumps(facts)) if as_json else _print_story(facts)
    return 0


def _print_story(facts: dict[str, Any]) -> None:
    instances = facts["instances"]
    print(f"{facts['uid']}: {len(instances)} instances received")
    senders: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for one in instances:
        senders.setdefault((one["calling_ae"], one["sender"], one["called_ae"]), []).append(one)
    for (calling, sender, called), group in senders.items():
        first, last = min(i["received"] for i in group), max(i["received"] for i in group)
        print(
            f"  {len(group)} from {calling or 'a folder'} at {sender} to {called}, {_moment(first)} to {_moment(last)}"
        )
    counts: dict[tuple[str, str], int] = {}
    for one in instances:
        counts[one["state"], one["reason"]] = counts.get((one["state"], one["reason"]), 0) + 1
    for (state, reason), count in sorted(counts.items()):
        print(f"  {count} {state}" + (f": {reason}" if reason else ""))
    for one in facts["commitments"]:
        _print_commitment(one)
    _print_acts(instances)
    for unit in facts["units"]:
        _print_unit(unit)


def _print_commitment(one: dict[str, Any]) -> None:
    state = {
        "open": "not answered yet", "answered": "answered", "given_up": "its answer did not get through"
    }[one["state"]]  # fmt: skip
    reason = f": {one['reason']}" if one["reason"] else ""
    print(
        f"  {_moment(one['at'])} {one['calling_ae']} at {one['sender']} asked for commitment ({one['proof']}), "
        f"transaction {one['transaction']}: {state}{reason}"
    )
    for group in one["results"]:
        failure = f" 0x{group['failure']:04X}" if group["failure"] is not None else ""
        because = f": {group['because']}" if group["because"] else ""
        print(f"    {group['instances']} {group['result']}{failure}{because}")


_MANY = 5
"""Instances whose own lines are printed; a study may have thousands that differ in the same way."""


def _print_acts(instances: list[dict[str, Any]]) -> None:
    """What a person did with single instances, and what those with one SOP Instance UID differ in."""
    told = [one for one in instances if one["history"]]
    for one in told[:_MANY]:
        against = f", against {one['against']}" if one["against"] else ""
        print(f"  instance {one['sop_instance']} (receipt {one['receipt']}{against}):")
        for line in one["history"]:
            print(f"    {_moment(line['at'])} {line['text']}")
    if len(told) > _MANY:
        print(f"  and {len(told) - _MANY} more instances with lines of their own: explain their SOP Instance UIDs")


def _print_unit(unit: dict[str, Any]) -> None:
    print(f"\n{unit['kind']} {unit['uid']} to {unit['called_ae']}: generation {unit['generation']}, {unit['state']}")
    _print_sources(unit)
    for closed in unit["completions"]:
        print(f"  {_moment(closed['at'])} generation {closed['generation']} complete ({closed['evidence']})")
        for route in closed["routes"]:
            mark = "took it" if route["matched"] else "did not take it"
            print(f"    route {route['route']} {mark}: {'; '.join(route['because'])}")
    for job in unit["jobs"]:
        reason = f": {job['reason']}" if job["reason"] else ""
        print(f"  job {job['job']} (generation {job['generation']}, try {job['tries']}) {job['state']}{reason}")
        for line in job["history"]:
            seconds = f" in {line['seconds']:.2f} s" if line["seconds"] is not None else ""
            print(f"    {_moment(line['at'])} {line['text']}{seconds}")
        for delivery in job["deliveries"]:
            files = ", ".join(f"{n} {state}" for state, n in delivery["files"].items())
            reason = f": {delivery['reason']}" if delivery["reason"] else ""
            print(f"    delivery to {delivery['destination']} {delivery['state']} ({files}){reason}")
        for owed in job["obligations"]:
            reason = f": {owed['reason']}" if owed["reason"] else ""
            print(f"    owed to {owed['target']}: {owed['instances']} {owed['state']}{reason}")


def _print_sources(unit: dict[str, Any]) -> None:
    """What sources answered, equal answers to one generation on one line, and what was pulled."""
    groups = groupby(unit["readings"], lambda one: (one["peer"], _answer(one), _generations_before(unit, one["at"])))
    for (peer, text, _), equal in groups:
        first, *others = [_moment(one["at"]) for one in equal]
        print(f"  {first} {peer} {text}" + (f", the same until {others[-1]}" if others else ""))
    for one in unit["pulls"]:
        result = f", {one['came']} came ({one['result']})" if one["finished"] else ", not finished"
        print(f"  {one['missing']} missing, pulled by {one['how']} from {one['peer']} at {_moment(one['at'])}{result}")


def _answer(one: dict[str, Any]) -> str:
    count = "nothing of it" if one["instances"] is None else f"{one['instances']} instances"
    return f"was not asked: {one['failure']}" if one["failure"] else f"has {count} (C-FIND)"


def _generations_before(unit: dict[str, Any], moment: float) -> int:
    return sum(1 for closed in unit["completions"] if closed["at"] <= moment)


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}Z"
