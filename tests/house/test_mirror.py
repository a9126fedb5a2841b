"""tests/ mirrors node/: `node/a/b.py` is tested in `tests/a/test_b.py`."""

from __future__ import annotations

from tests.house.sources import MODULES, ROOT

ELSEWHERE = {
    # only values and words
    "model": "tests/dicom/test_header.py",
    "complete.facts": "tests/complete/test_sources.py",
    "deliver.base": "tests/deliver/test_dicom.py",
    # driven through the target, over sockets
    "deliver.entity": "tests/deliver/test_dicom.py",
    "deliver.sender": "tests/deliver/test_dicom.py",
    # one reading of a header, of which these are the parts
    "dicom.collecting": "tests/dicom/test_header.py",
    "dicom.packing": "tests/dicom/test_header.py",
    # put together in one value, and tested as that
    "config.clauses": "tests/config/test_conditions.py",
    "config.comparisons": "tests/config/test_conditions.py",
    "config.elements": "tests/config/test_conditions.py",
    "config.section": "tests/config/test_load.py",
    "config.this_node": "tests/config/test_load.py",
    "config.peers": "tests/config/test_schema.py",
    "config.destinations": "tests/config/test_load.py",
    "config.identity": "tests/receive/test_identity.py",
    "config.tls": "tests/tls/test_report.py",
    "config.values": "tests/config/test_load.py",
    "config.secret": "tests/config/test_load.py",
    "config.flow": "tests/config/test_checks.py",
    # words of what is tested there
    "certificate.actions": "tests/certificate/test_account.py",
    "run.outputs": "tests/run/test_certify.py",
    # driven through the step, the way the node does it
    "steps._skeleton": "tests/steps/test_skeleton.py",
    "steps.check_files": "tests/steps/test_check.py",
    "steps.picture_names": "tests/steps/test_png.py",
    "steps.pictures": "tests/steps/test_png.py",
    "steps.masks.drawing": "tests/steps/masks/test_step.py",
    "steps.masks.files": "tests/steps/masks/test_step.py",
    "steps.nifti.members": "tests/steps/nifti/test_step.py",
    "steps.nifti.report": "tests/steps/nifti/test_step.py",
    "steps.nifti.written": "tests/steps/nifti/test_step.py",
    "steps.nifti.writing": "tests/steps/nifti/test_step.py",
    "steps.anonymize.actions": "tests/steps/anonymize/test_plan.py",
    "steps.anonymize.coding": "tests/steps/anonymize/test_step.py",
    "steps.anonymize.evidence": "tests/steps/anonymize/test_instance.py",
    "steps.anonymize.fields": "tests/steps/anonymize/test_recipe.py",
    "steps.anonymize.patterns": "tests/steps/anonymize/test_cleaning.py",
    "steps.anonymize.permitted": "tests/steps/anonymize/test_rules.py",
    "steps.anonymize.recipe_text": "tests/steps/anonymize/test_recipe.py",
    "steps.anonymize.reasons": "tests/steps/anonymize/test_preview.py",
    "steps.anonymize.values": "tests/steps/anonymize/test_instance.py",
    "steps.anonymize.plain": "tests/steps/anonymize/test_header.py",
    "steps.anonymize.walk": "tests/steps/anonymize/test_engine.py",
    "imaging.aspect": "tests/imaging/test_pictures.py",
    "imaging.functional": "tests/imaging/test_display.py",
    "imaging.attributes": "tests/imaging/test_volumes.py",
    # words and tables of the second reader
    "leaks.what": "tests/leaks/test_automaton.py",
    "leaks.sources": "tests/leaks/test_collect.py",
    "leaks.patterns": "tests/leaks/test_automaton.py",
    "imaging.codecs": "tests/imaging/test_decode.py",
    "imaging.interpolate": "tests/imaging/test_resample.py",
    "imaging.layout": "tests/imaging/test_decode.py",
    "imaging.nifti": "tests/imaging/test_gate.py",
    "imaging.compress": "tests/steps/test_transcode.py",
    "imaging.planes": "tests/imaging/test_consistency.py",
    "imaging.transcode": "tests/steps/test_transcode.py",
    "imaging.segmentation_frames": "tests/imaging/test_segmentation.py",
    "imaging.reading": "tests/imaging/test_weighting.py",
    "imaging.values": "tests/imaging/test_gate.py",
    "receive.asked": "tests/receive/test_services.py",
    "receive.timer": "tests/receive/test_upper_layer.py",
    # with a node and real processes
    "receive.process": "tests/receive/test_receivers.py",
    # the database behind the questions that are asked of it
    "crosswalk.schema": "tests/crosswalk/test_crosswalk.py",
    # one count, of which these are the parts
    "index.standing": "tests/index/test_ledger.py",
    "report.parcels": "tests/report/test_verify.py",
    # needs a whole node
    "cli.demo_archive": "tests/cli/test_demo.py",
    "cli.opened": "tests/cli/test_look.py",
    "backup": "tests/cli/test_copies.py",
    "service": "tests/flow/test_a_ct_goes_anonymized_to_the_archive_and_the_share.py",
}
"""Modules below node/ without a test file of their own, and where they are tested."""


def expected(module: str) -> str:
    parts = module.split(".")
    return "/".join(["tests", *parts[:-1], f"test_{parts[-1]}.py"])


TESTED = [
    module.removeprefix("node.") for module, path in MODULES.items() if path.name not in ("__init__.py", "__main__.py")
]


def there(module: str) -> bool:
    return (ROOT / expected(module)).is_file()


def test_every_module_has_its_test_file() -> None:
    assert [expected(module) for module in TESTED if not there(module) and module not in ELSEWHERE] == []


def test_an_exception_is_a_module_without_a_test_file_that_is_tested_where_it_says() -> None:
    assert set(ELSEWHERE) <= set(TESTED)
    assert [module for module in ELSEWHERE if there(module)] == []
    assert [where for where in ELSEWHERE.values() if not (ROOT / where).is_file()] == []
