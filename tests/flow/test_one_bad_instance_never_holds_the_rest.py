"""A frame that no codec reads, words burned into the pixels, bytes that are no data set: each is dealt with alone."""

from __future__ import annotations

import nibabel
import pytest
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from node.cli.act import act
from tests import make
from tests.flow.nodes import PATIENCE, Site
from tests.peers import Instance, Recorder, Sender, send

RULES = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: deidentified}
  share: {folder: ./out, accepts: deidentified}
routes:
  - name: volumes
    when: always
    partial: $partial
    steps: [anonymize, decompress, {forward: archive}, nifti, {forward: {to: share, what: [nifti]}}]
"""


def series_with_two_bad_ones() -> list[FileDataset]:
    """Six slices; no codec reads the first, and the last says that it has words in its pixels."""
    series = make.ct_series(6, rows=64, columns=64)
    series[0].file_meta.TransferSyntaxUID = JPEG2000Lossless
    series[0].PixelData = encapsulate([b"\xff\x4f\xff\x51 and then nothing that a codec knows"])
    series[0]["PixelData"].VR = "OB"
    series[0]["PixelData"].is_undefined_length = True
    series[5].BurnedInAnnotation = "YES"
    return series


def send_all(port: int, series: list[FileDataset]) -> list[int]:
    """The series with garbage in the middle, over one association; the statuses."""
    instances = [Instance.of(one) for one in series]
    garbage = Instance(
        sop_class=make.CT_IMAGE, sop_instance="1.2.3", transfer_syntax=instances[1].transfer_syntax,
        data=b"\x08\x00 this is no data set, whatever it says" * 20,
    )  # fmt: skip
    instances.insert(3, garbage)
    contexts = [(sop, [syntax]) for sop, syntax in dict.fromkeys((i.sop_class, i.transfer_syntax) for i in instances)]
    with Sender(port, contexts) as sender:
        return [sender.store(one) for one in instances]


@pytest.mark.parametrize("partial", ["hold", pytest.param("proceed", marks=pytest.mark.full)])
def test_one_bad_instance_never_holds_the_rest(site: Site, partial: str) -> None:
    series = series_with_two_bad_ones()
    with Recorder() as archive:
        site.rules(RULES, port=archive.port, partial=partial)
        with site.running() as node:
            statuses = send_all(node.port, series)
            assert statuses[3] == 0xC000
            assert statuses[:3] + statuses[4:] == [0x0000] * 6
            archive.wait_for(4)
            states = site.settled(6)
            volumes = list((site.folder / "out").rglob("*.nii.gz"))
            reasons = " | ".join(one["reason"] for one in site.held())
            assert "decompress: " in reasons
            assert "decompress: decompress: " not in reasons
            assert "anonymize: " in reasons
            assert "urned" in reasons
            if partial == "proceed":
                assert states == {"delivered": 4, "held": 2}
                assert [nibabel.load(path).shape[2] for path in volumes] == [4]
            else:
                # The volume needs all of them, so nothing of it goes on; the archive has the four all the same.
                assert states == {"held": 6}
                assert volumes == []
                assert "`partial: proceed`" in reasons
                # A person gives the two up, and the volume is made of the rest.
                assert act("release", make.uid("study", "series"), site.path, as_json=False) == 0
                assert site.settled(6) == {"delivered": 4, "held": 2}
                volumes = list((site.folder / "out").rglob("*.nii.gz"))
                assert [nibabel.load(path).shape[2] for path in volumes] == [4]
    assert len(archive.uids) == len(set(archive.uids)) == 4


BREAKS = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: identified, retry: {first: 100ms, factor: 1}}
routes: [{name: originals, when: always, steps: [{forward: archive}]}]
"""


@pytest.mark.parametrize("bad", [(1, 2), pytest.param((0, 1, 2, 4), marks=pytest.mark.full)])
def test_what_the_archive_breaks_off_at_each_time_holds_nothing_else(site: Site, bad: tuple[int, ...]) -> None:
    series = make.ct_series(6, rows=8, columns=8)
    uids = [str(one.SOPInstanceUID) for one in series]
    wrong = {uids[number] for number in bad}
    with Recorder(abort_when=lambda one: one.sop_instance in wrong) as archive:
        site.rules(BREAKS, port=archive.port)
        with site.running() as node:
            send(node.port, series)
            archive.wait_for(6 - len(bad), PATIENCE)
        assert sorted(archive.uids) == sorted(set(uids) - wrong), "each once"
