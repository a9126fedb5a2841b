from __future__ import annotations

import json
from pathlib import Path

from tests.cli.command import program


def test_the_demo_ends_well_and_what_it_says_is_on_the_disk(tmp_path: Path) -> None:
    process = program("demo", "--json", "--data", tmp_path)
    out, err = process.communicate(timeout=110)
    assert process.returncode == 0, err
    facts = json.loads(out)
    assert facts["missing"] == []
    assert facts["balanced"] is True
    assert facts["sent"]["offered"] == facts["sent"]["acknowledged"] == facts["acknowledged"] > 50
    assert facts["repeated"] == 0
    kept = sorted(path.stem for path in (tmp_path / "archive").glob("*.dcm"))
    assert len(kept) == facts["archive"] == facts["ledger"]["delivered"], (kept, facts)
    assert sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "out").rglob("*.nii.gz")) == facts["volumes"]
    assert facts["volumes"]
