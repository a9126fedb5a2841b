"""Files that somebody puts into a watched folder are taken in like C-STORE, and leave when they are safe."""

from __future__ import annotations

from urllib.request import urlopen

from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite

from tests import make
from tests.flow.nodes import Site, wait_until
from tests.peers import Instance, Recorder, free_port

RULES = """
destinations:
  archive: {dicom: "ARCHIVE@127.0.0.1:$port", accepts: deidentified}
routes:
  - name: from-the-folder
    when: {called_ae: RESEARCH}
    steps: [anonymize, {forward: archive}]
"""


def test_watch_folder(site: Site) -> None:
    series, inbox = make.ct_series(3, rows=64, columns=64), site.folder / "inbox"
    with Recorder() as archive:
        site.rules(RULES, port=archive.port, node="watch: [{path: ./inbox, as: RESEARCH}]")
        inbox.mkdir()
        make.write(series[0], inbox / "there before the start.dcm")
        with site.running():
            make.write(series[1], inbox / "deeper" / "without an extension")
            # Without preamble and file meta, as some scanners leave them.
            naked = Dataset(dict(series[2].items()))
            dcmwrite(inbox / "naked.dcm", naked, implicit_vr=True, little_endian=True, enforce_file_format=False)
            (inbox / "notes.txt").write_text("this is no instance")
            (inbox / ".hidden.dcm").write_bytes(b"somebody still writes this")
            archive.wait_for(3)
            assert site.settled(3) == {"delivered": 3}
            wait_until(lambda: left(site) == [".hidden.dcm", "notes.txt"], why=lambda: str(left(site)))
    assert len(archive.uids) == len(set(archive.uids)) == 3
    assert [i["called_ae"] for i in site.story(make.uid("study"))["instances"]] == ["RESEARCH"] * 3
    assert Instance.of(series[0]).data in site.spooled().values()


def test_a_watched_folder_leaves_the_times_of_receiving_alone(sqlite_site: Site) -> None:
    site, status = sqlite_site, free_port()
    site.rules("routes: []", node=f"{{watch: [{{path: ./inbox}}], status: '127.0.0.1:{status}'}}")
    make.write(make.instance(), site.folder / "inbox" / "file")
    with site.running():
        site.settled(1)
        wait_until(lambda: left(site) == [])
        with urlopen(f"http://127.0.0.1:{status}/metrics") as answer:
            lines = answer.read().decode().splitlines()
    assert 'dicom_node_received_total{called_ae="NODE",calling_ae="folder"} 1.0' in lines
    assert "dicom_node_receive_seconds_count 0.0" in lines


def left(site: Site) -> list[str]:
    return sorted(path.name for path in (site.folder / "inbox").rglob("*") if path.is_file())
