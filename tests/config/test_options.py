from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config import Route, freeze, thaw
from node.config.options import build_step, field_docs, options_of
from node.config.section import Surroundings
from node.errors import CannotSucceed
from node.model import Kind, Plan, UnitKind
from tests.config.steps import STEPS, Anonymize, Decompress, Forward, Nifti

AROUND = Surroundings(folder=Path("/site"), steps=STEPS)


def test_a_step_is_a_name_or_a_name_with_options_or_with_its_short_value() -> None:
    assert build_step("anonymize", AROUND) == Anonymize()
    assert build_step({"nifti": {"level": 3}}, AROUND) == Nifti(level=3)
    assert build_step({"nifti": None}, AROUND) == Nifti()
    assert build_step({"forward": "archive"}, AROUND) == Forward(to="archive")
    assert build_step({"forward": {"to": "a", "what": ["nifti"]}}, AROUND) == Forward(
        to="a", what=frozenset({Kind.NIFTI})
    )


def test_paths_start_at_the_folder_of_the_file_and_durations_are_written_with_units() -> None:
    step = build_step({"anonymize": {"recipe": "r.dicom", "wait": "2m"}}, AROUND)
    assert step == Anonymize(recipe=Path("/site/r.dicom"), wait=timedelta(minutes=2))
    assert build_step({"anonymize": {"recipe": "/abs"}}, AROUND) == Anonymize(recipe=Path("/abs"))


@given(
    st.builds(
        Anonymize,
        profile=st.sampled_from(["basic", "none"]),
        options=st.lists(st.text(max_size=5)).map(tuple),
        recipe=st.none() | st.just(Path("/a/b")),
        wait=st.timedeltas(timedelta(0), timedelta(days=10)),
    ),
    st.builds(Forward, to=st.text("abc", min_size=1), what=st.none() | st.frozensets(st.sampled_from(list(Kind)))),
)
def test_a_plan_gives_back_the_very_same_steps_through_json(one: Anonymize, two: Forward) -> None:
    route = Route(name="r", when="always", steps=(one, Decompress(), two), unit=UnitKind.STUDY, partial="proceed")
    plan = freeze(route)
    stored = json.loads(json.dumps(dataclasses.asdict(plan)))
    again = Plan(**{**stored, "steps": tuple((name, options) for name, options in stored["steps"])})
    assert thaw(again, STEPS) == (one, Decompress(), two)
    assert (plan.unit, plan.partial) == (UnitKind.STUDY, "proceed")


def test_the_fingerprint_tells_routes_apart_and_equal_ones_not() -> None:
    def made(**more: object) -> str:
        return freeze(Route(**{"name": "r", "when": {"Modality": "CT"}, "steps": (Nifti(),), **more})).fingerprint

    others = [
        made(name="q"),
        made(when={"Modality": "MR"}),
        made(steps=(Nifti(level=1),)),
        made(stop=True),
        made(late="hold"),
    ]
    assert made() == made()
    assert len({made(), *others}) == 6
    assert len(made()) == 64


def test_sets_are_frozen_in_one_order() -> None:
    plan = freeze(Route(name="r", when="always", steps=(Forward(to="a", what=frozenset(Kind)),)))
    assert plan.steps[0][1]["what"] == sorted(kind.value for kind in Kind)


def test_an_option_may_have_the_name_of_a_method_of_pydantic() -> None:
    @dataclasses.dataclass(frozen=True)
    class Set:
        copy: Mapping[str, str]
        """Attribute to attribute."""

    assert build_step({"set": {"copy": {"A": "B"}}}, Surroundings(folder=Path("/"), steps={"set": Set})) == Set(
        {"A": "B"}
    )


def test_a_plan_this_version_cannot_run_says_why() -> None:
    def plan(name: str, **options: object) -> Plan:
        return Plan(route="r", unit=UnitKind.SERIES, steps=((name, options),))

    with pytest.raises(CannotSucceed, match='no step "gone"'):
        thaw(plan("gone"), STEPS)
    with pytest.raises(CannotSucceed, match='options of step "nifti"'):
        thaw(plan("nifti", speed=3), STEPS)


def test_the_literal_below_a_field_is_its_meaning() -> None:
    assert field_docs(Anonymize)["wait"] == "How long it may take."
    assert field_docs(Nifti) == {"level": "Of compression, 0 to 9."}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Patient(Anonymize):
    level: int = 3
    """Of patience."""


def test_a_field_that_is_inherited_means_what_it_means_there() -> None:
    fields = options_of(Patient).model_fields
    assert (fields["level"].description, fields["wait"].description) == ("Of patience.", "How long it may take.")
