"""A recipe that is edited while a unit is worked on is in all of the unit, or in none of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.errors import TryAgain
from node.model import Batch, Item, Kind, ReceiptId
from node.pool import Pool
from node.run.one_version import of_one_version
from node.run.parts import in_parts, perform_in_parts
from node.steps import Anonymize
from node.steps.anonymize.pixel_options import PixelOptions
from tests import make

GIVEN = {"secret": b"a secret of thirty-two bytes or so"}
RECIPE = "FORMAT dicom\n%header\nREMOVE {}\n"
RULES = 'FORMAT dicom\n%filter a\nLABEL {}\nequals Modality "XX"\ncoordinates all\n'


def batch(folder: Path, count: int) -> Batch:
    paths = make.write_all(make.ct_series(count, rows=8, columns=8), folder / "in")
    return Batch(
        items=tuple(Item(path=p, kind=Kind.DICOM, sources=(ReceiptId(f"{n:032x}"),)) for n, p in enumerate(paths))
    )


def together(one: Batch, other: Batch) -> Batch:
    return Batch(items=(*one.items, *other.items))


def test_a_unit_done_by_one_version_of_each_file_goes_on(pool: Pool, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe"
    recipe.write_text(RECIPE.format("KVP"))
    made, _ = perform_in_parts(pool, Anonymize(recipe=recipe), batch(tmp_path, 14), tmp_path / "out", GIVEN)
    assert len(made.items) == 14
    assert of_one_version(Batch(items=())) == Batch(items=())


@pytest.mark.parametrize("which", ["recipe", "pixel rules"])
def test_a_file_that_is_edited_between_two_parts_lets_all_be_made_again(pool: Pool, tmp_path: Path, which: str) -> None:
    file, text = tmp_path / "file", RECIPE if which == "recipe" else RULES
    pixels = PixelOptions(rules=(file,))
    step = Anonymize(recipe=file) if which == "recipe" else Anonymize(options=("clean_pixel_data",), pixels=pixels)
    parts = []
    for number, word in enumerate(("KVP", "StudyID", "KVP")):
        file.write_text(text.format(word))
        parts.append(in_parts(pool, step, batch(tmp_path, 1), tmp_path / f"{number}", GIVEN)[0])
    assert of_one_version(together(parts[0], parts[2]))
    with pytest.raises(TryAgain, match="edited while it was worked on"):
        of_one_version(together(parts[0], parts[1]))
