from __future__ import annotations

from pathlib import Path

import pytest

from node.config import load_text
from node.errors import ConfigurationError
from tests.config.steps import STEPS


def problems(
    routes: str = "", *, node: str = "", destinations: str = "", tests: str = "", peers: str = ""
) -> list[str]:
    text = f"""\
node: {{ae_title: NODE, {node}}}
peers: {{{peers}}}
destinations:
  clean: {{dicom: CLEAN@pacs:104, accepts: deidentified}}
  plain: {{dicom: PLAIN@pacs:105, accepts: identified}}
  share: {{folder: ./out, accepts: deidentified}}
  {destinations}
routes: [{routes}]
tests: [{tests}]
"""
    try:
        load_text(text, STEPS, folder=Path("/site"))
    except ConfigurationError as error:
        return [f"{p.path}: {p.text}" for p in error.problems]
    return []


def steps(*written: str) -> str:
    return f"{{name: r, when: always, steps: [{', '.join(written)}]}}"


@pytest.mark.parametrize(
    "written",
    [
        ("anonymize", "{forward: clean}"),
        ("{forward: plain}", "anonymize", "{forward: clean}"),
        ("anonymize", "nifti", "smooth", "{forward: clean}", "{forward: share}"),
        ("anonymize", "nifti", "{forward: {to: share, what: [nifti, report]}}"),
        ("drop",),
    ],
)
def test_a_route_that_fits_together_is_taken(written: tuple[str, ...]) -> None:
    assert problems(steps(*written)) == []


@pytest.mark.parametrize(
    ("written", "place", "said"),
    [
        (("anonymize", "{forward: claen}"), 1, 'unknown destination "claen". Did you mean "clean"?'),
        (("{forward: clean}",), 0, "this route does not anonymize"),
        (("{forward: clean}", "anonymize"), 0, "move this forward after the anonymize step"),
        (("anonymize", "{forward: plain}"), 1, "accepts only identified data"),
        (("smooth",), 0, '"smooth" takes nifti, and here there is only dicom'),
        (("drop", "anonymize"), 1, "nothing is left"),
        (("anonymize", "drop", "{forward: clean}"), 2, "nothing to send"),
        (("anonymize", "{forward: {to: share, what: [nifti]}}"), 1, "it is to get nifti"),
        (("anonymize", "nifti", "{forward: {to: clean, what: [nifti]}}"), 2, "takes dicom, not nifti"),
    ],
)
def test_a_route_that_does_not_fit_together_is_refused(written: tuple[str, ...], place: int, said: str) -> None:
    found = problems(steps(*written))
    assert len(found) == 1
    assert found[0].startswith(f"routes[0].steps[{place}]: ")
    assert said in found[0]


def test_accepts_is_needed_as_soon_as_any_route_anonymizes() -> None:
    bare = "bare: {folder: ./bare}"
    assert problems(steps("{forward: bare}"), destinations=bare) == []
    assert "destinations.bare: " in problems(steps("anonymize", "{forward: clean}"), destinations=bare)[0]


@pytest.mark.parametrize(
    ("listen", "target", "itself"),
    [
        ("127.0.0.1:11112", "X@localhost:11112", True),
        ("127.0.0.1:11112", "X@127.0.0.1:11113", False),
        ("0.0.0.0:104", "X@127.0.0.1:104", True),
        ("10.0.0.1:104", "X@10.0.0.1:104", True),
        ("10.0.0.1:104", "X@10.0.0.2:104", False),
        ("10.0.0.1:104", "NODE@pacs.example:104", True),
        ("10.0.0.1:104", "NODE@pacs.example:105", False),
    ],
)
def test_a_destination_that_is_this_node_is_refused(listen: str, target: str, itself: bool) -> None:
    found = problems(node=f"listen: {listen}, senders: anyone", destinations=f"back: {{dicom: {target}}}")
    assert [line.split(":")[0] for line in found] == (["destinations.back.dicom"] if itself else [])


def test_off_loopback_who_may_send_must_be_written() -> None:
    assert "senders" in problems(node="listen: 0.0.0.0:104")[0]
    assert problems(node="listen: 0.0.0.0:104, senders: anyone") == []
    assert problems(node="listen: ['[::1]:104', localhost:105]") == []
    assert "there are none" in problems(node="senders: peers")[0]
    assert problems(node="senders: peers", peers="a: {ae_title: A, host: [10.0.0.1, fd00::/8]}") == []


@pytest.mark.parametrize("folder", ["data", "data/spool", "data/outbox/x", "data/work", "data/run", "data/secrets"])
def test_a_destination_is_not_among_what_the_node_keeps_for_itself(folder: str) -> None:
    found = problems(destinations=f"mine: {{folder: {folder}}}")
    assert "keeps for itself" in found[0]


def test_a_destination_may_be_on_the_disk_of_the_node() -> None:
    assert problems(destinations="mine: {folder: data/out}\n  spools: {folder: data/spools}") == []


def test_folders_do_not_feed_each_other() -> None:
    assert "watched twice" in problems(node="watch: [{path: in}, {path: ./in}]")[0]
    assert "is in a watched folder" in problems(node="watch: [{path: out}]")[0]
    assert "must not be in each other" in problems(node="watch: [{path: data/spool}]")[0]
    assert "not an `ae_title`" in problems(node="watch: [{path: in, as: OTHER}]")[0]


def test_route_names_are_unique_and_routes_can_be_reached() -> None:
    def route(name: str, more: str) -> str:
        return f"{{name: {name}, steps: [drop], {more}}}"

    assert (
        "is there already" in problems(route("a", "when: {Modality: CT}") + "," + route("a", "when: {Modality: MR}"))[0]
    )
    assert "never reached" in problems(route("a", "when: always, stop: true") + "," + route("b", "when: always"))[0]
    assert "never reached" in problems(route("a", "when: always") + "," + route("b", "when: otherwise"))[0]
    assert "another `otherwise`" in problems(route("a", "when: otherwise") + "," + route("b", "when: otherwise"))[0]
    assert (
        "looks only at"
        in problems(route("a", "when: {Modality: CT}, unit: study") + "," + route("b", "when: otherwise"))[0]
    )
    assert problems(route("a", "when: always, unit: study") + "," + route("b", "when: always")) == []
    assert problems(route("a", "when: otherwise")) == []


@pytest.mark.parametrize(
    ("destination", "said"),
    [
        ("x: {accepts: identified}", "either"),
        ("x: {folder: a, dicom: A@b:1}", "either"),
        ("x: {folder: a, as: ME}", "no AE title"),
        ("x: {dicom: A@b:1, layout: a}", "is for a folder"),
        ("x: {folder: a, layout: '{Modalty}'}", 'Did you mean "Modality"?'),
        ("x: {folder: a, layout: '{Modality!r}'}", "a keyword alone"),
        ("x: {folder: a, layout: '../{Modality}'}", "below the destination"),
        ("x: {folder: a, layout: '{Modality'}", "layout"),
        ("x: {dicom: 'b:1'}", "AE@host:port"),
        ("x: {dicom: A@b:1, retry: {first: 2h, at_most: 1h}}", "longer than"),
        ("'a b': {folder: a}", "cannot name a destination"),
    ],
)
def test_a_destination_that_cannot_be_is_refused(destination: str, said: str) -> None:
    found = problems(destinations=destination)
    assert len(found) == 1
    assert said in found[0]


def test_a_test_of_the_routes_names_routes_and_elements_that_there_are() -> None:
    found = problems(steps("drop"), tests="{name: t, given: {Modalty: CT}, expect: [rr]}")
    assert [line.split(":")[0] for line in found] == ["tests[0].given.Modalty", "tests[0].expect[0]"]


@pytest.mark.parametrize(
    ("peer", "said"),
    [
        ("host: 10.1.2.0/24, port: 104, evidence: find", "where is not known"),
        ("host: 10.1.2.3, evidence: find", "where is not known"),
        ("host: [10.1.2.3, 10.1.2.4], port: 104, evidence: find", "where is not known"),
        ("host: 10.1.2.3, port: 104, pull: get", "add `find` to its `evidence`"),
        ("host: 10.1.2.3, query: {port: 104}", "is never asked: add `find`"),
        ("host: 127.0.0.1, port: 11112, evidence: find", "it is this node itself"),
        ("host: 10.1.2.3, evidence: finds", 'Did you mean "find"?'),
        ("host: 10.1.2.3, port: 104, evidence: find, query: {}", "name `ae_title`, `host` or `port`"),
    ],
)
def test_a_source_needs_an_address_and_a_reason_to_be_asked(peer: str, said: str) -> None:
    found = problems(steps("drop"), peers=f"ct1: {{ae_title: CT1, {peer}}}")
    assert [said in text for text in found] == [True], found


def test_a_source_may_be_another_application_entity() -> None:
    query = "query: {ae_title: PACS, host: pacs, port: 104}"
    asked = f"ct1: {{ae_title: CT1, host: 10.1.2.0/24, evidence: find, pull: move, {query}}}"
    assert problems(steps("drop"), peers=asked) == []


def test_an_archive_that_is_to_move_instances_here_has_to_be_admitted() -> None:
    query = "query: {ae_title: PACS, host: pacs, port: 104}"
    asked = f"ct1: {{ae_title: CT1, host: 10.1.2.0/24, evidence: find, pull: move, {query}}}"
    (fault,) = problems(steps("drop"), node="senders: peers", peers=asked)
    assert "add PACS to `peers`, or say `pull: get`" in fault
    admitted = f"{asked}, pacs: {{ae_title: PACS, host: 10.1.2.9}}"
    assert problems(steps("drop"), node="senders: peers", peers=admitted) == []
    assert problems(steps("drop"), node="senders: peers", peers=asked.replace("move", "get")) == []
