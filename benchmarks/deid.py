"""De-identification scored on a corpus of invented patients, and its speed: this node and those that are installed.

    python -m benchmarks.deid [--only node,deid,...] [--patients 16] [--speed] [--misses 20]
    python -m benchmarks.deid --score FOLDER --corpus CORPUS    # what something else made of a kept corpus

A score is the share of required actions that were done, by kind, as in the MIDI-B challenge; the key is written from
PS3.15 and PS3.3 (benchmarks/corpus). The node is run as `dicom-node process`, with every option of the key that it has.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import yaml

from benchmarks.corpus.generate import PATIENTS, generate
from benchmarks.corpus.key import OPTIONS, REMOVAL, RETENTION, Action, Instance, load
from benchmarks.corpus.score import Score, score
from benchmarks.deid_speed import available, speeds
from benchmarks.deidentifiers import DEIDENTIFIERS, run_all
from benchmarks.figures import number, table
from benchmarks.ground import new_ground
from benchmarks.machine import disk, machine, tree
from node.config.options import options_of
from node.steps.anonymize import Anonymize

NAMES = ("node", *DEIDENTIFIERS)
_PATIENCE = 600


def rules(folder: Path, pixels: Path) -> Path:
    """A rules.yaml with one route, written to a folder."""
    step: dict[str, object] = {"profile": "basic", "options": list(available())}
    if "pixels" in options_of(Anonymize).model_fields:
        step["pixels"] = {"rules": [str(pixels)]}
    document = {
        "node": {"ae_title": "BENCH", "listen": "127.0.0.1:11112", "data": str(folder / "data")},
        "destinations": {"share": {"folder": str(folder / "share"), "accepts": "deidentified"}},
        "routes": [{"name": "deid", "when": "otherwise", "steps": [{"anonymize": step}, {"forward": "share"}]}],
    }
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def run_node(corpus: Path, work: Path, out: Path) -> None:
    """All files of a corpus through `dicom-node process`. Raises SystemExit where it did not come to its end."""
    command = [
        sys.executable, "-m", "node", "process", str(corpus / "files"), "--route", "deid", "--out", str(out),
        "--config", str(rules(work, corpus / "pixels.dicom")), "--json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    # 1 says that something was held, which the score tells.
    if done.returncode not in (0, 1) or not done.stdout.startswith("{"):
        raise SystemExit(f"dicom-node process ended with {done.returncode}:\n{done.stderr}")


def scored(name: str, corpus: Path, instances: Sequence[Instance], work: Path) -> Score:
    """What one made of a corpus; `work` is a new folder."""
    out = work / "out"
    out.mkdir(parents=True)
    if name == "node":
        run_node(corpus, work, out)
    else:
        sources = {one.number: corpus / "files" / one.file for one in instances}
        run_all(DEIDENTIFIERS[name], sources, out, corpus / "pixels.dicom")
    return score(corpus, instances, out)


def shown(scores: dict[str, Score]) -> str:
    """A line for each kind of action, a column for each that was run."""
    head = ["required action", "count", *scores]
    required: Counter[Action] = Counter()
    for one in scores.values():
        required |= one.required

    def line(title: str, *actions: Action) -> list[str]:
        count = sum(required[action] for action in actions)
        return [title, str(count), *(f"{number(one.percent(*actions), 2)} %" for one in scores.values())]

    lines = [line(str(action), action) for action in Action]
    lines += [line("all that removes", *REMOVAL), line("all that retains", *RETENTION), line("all", *Action)]
    came = [f"{one.came} / {one.withheld}" for one in scores.values()]
    return table(head, [*lines, ["objects given / wrongly withheld", "", *came]])


def misses(name: str, one: Score, most: int) -> str:
    """The places that were missed most often; no value is shown."""
    counted = Counter((miss.action, miss.place, miss.source) for miss in one.misses)
    lines = [[place, action, source, str(count)] for (action, place, source), count in counted.most_common(most)]
    return f"\nmissed by {name}, {len(one.misses)} in all\n\n" + table(["place", "action", "source", "times"], lines)


def _chosen(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")] if text else list(NAMES)
    if unknown := set(names) - set(NAMES):
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    missing = [name for name in names if name != "node" and not DEIDENTIFIERS[name].installed]
    if missing:
        print(f"not installed: {', '.join(missing)}")
    return [name for name in names if name not in missing]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help=f"some of {', '.join(NAMES)}, by commas")
    parser.add_argument("--patients", type=int, default=PATIENTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", action="store_true", help="measure speed as well")
    parser.add_argument("--misses", type=int, default=0, metavar="N", help="the N places that were missed most")
    parser.add_argument("--score", type=Path, metavar="FOLDER", help="results of something else, for --corpus")
    parser.add_argument("--corpus", type=Path, help="a folder that benchmarks.corpus.generate has filled")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder in it is removed again")
    parser.add_argument("--quick", action="store_true", help="shows that it works; its figures say nothing")
    given = parser.parse_args()
    with new_ground(given.folder, "benchmark-") as work:
        print(f"{machine()}, {disk(work)}; dicom-node {tree()}; seed {given.seed}")
        if given.corpus:
            corpus, instances = given.corpus, load(given.corpus / "key.json")
        else:
            corpus = work / "corpus"
            instances = generate(corpus, patients=2 if given.quick else given.patients, seed=given.seed)
        if given.score:
            scores = {given.score.name: score(corpus, instances, given.score)}
        else:
            scores = {name: scored(name, corpus, instances, work / name) for name in _chosen(given.only)}
            if left := [option for option in OPTIONS if option not in available()]:
                print(f"the node does not have {', '.join(left)}")
        print(f"{len(instances)} objects\n\n{shown(scores)}")
        for name, one in scores.items() if given.misses else ():
            print(misses(name, one, given.misses))
        if given.speed and not given.score:
            with new_ground(work, "speed-") as fast:
                print(f"\n{speeds(list(scores), fast, 2 if given.quick else 300)}")


if __name__ == "__main__":
    main()
