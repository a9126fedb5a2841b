from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from node.deliver.base import Outcome, Parcel, Result
from node.deliver.folder import FolderTarget
from node.deliver.layout import Layout
from node.errors import TryAgain
from node.model import Kind
from node.spool.files import Files

LAYOUT = Layout("{PatientID}/{SeriesNumber}_{Modality}")
FIELDS = {"PatientID": "P1", "SeriesNumber": "3", "Modality": "CT"}
HERE = "P1/3_CT"


class Books:
    """Ownership in memory; the durable one belongs to the outbox."""

    def __init__(self) -> None:
        self.owners: dict[str, str] = {}

    def owner(self, path: str) -> str | None:
        return self.owners.get(path)

    def claim(self, path: str, owner: str) -> None:
        self.owners[path] = owner

    def published(self, owner: str) -> Sequence[str]:
        return [path for path, who in self.owners.items() if who == owner]

    def forget(self, path: str) -> None:
        self.owners.pop(path, None)


class Share:
    """An output folder, its books, and an outbox beside it."""

    def __init__(self, root: Path) -> None:
        self.folder, self.outbox, self.books = root / "out", root / "outbox", Books()
        self.folder.mkdir()
        self.outbox.mkdir()

    def parcel(self, number: int = 0, content: bytes = b"content", name: str = "v.nii.gz", **fields: str) -> Parcel:
        path = self.outbox / str(number) / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)
        return Parcel(number=number, path=path, kind=Kind.NIFTI, fields={**FIELDS, **fields})

    def dicom(self, number: int = 0, uid: str = "1.2.3", content: bytes = b"dicom") -> Parcel:
        made = self.parcel(number, content, f"{number}.dcm")
        return Parcel(number=number, path=made.path, kind=Kind.DICOM, sop_instance=uid, fields=FIELDS)

    def bring(self, *parcels: Parcel, owner: str = "series 1, route a", **how: object) -> list[Result]:
        results: list[Result] = []
        target = self.target(owner, **how)
        target.deliver(parcels, lambda _, result: results.append(result), lambda: False)
        return results

    def target(self, owner: str = "series 1, route a", **how: object) -> FolderTarget:
        return FolderTarget(self.folder, LAYOUT, self.books, owner, **how)  # type: ignore[arg-type]

    @property
    def files(self) -> dict[str, bytes]:
        return {str(p.relative_to(self.folder)): p.read_bytes() for p in self.folder.rglob("*") if p.is_file()}


@pytest.fixture
def share(tmp_path: Path) -> Share:
    return Share(tmp_path)


def test_dicom_is_named_by_its_uid_and_other_files_keep_their_name(share: Share) -> None:
    results = share.bring(share.dicom(0), share.parcel(1))
    assert [result.place for result in results] == [f"{HERE}/1.2.3.dcm", f"{HERE}/v.nii.gz"]
    assert share.files == {f"{HERE}/1.2.3.dcm": b"dicom", f"{HERE}/v.nii.gz": b"content"}


@pytest.mark.parametrize("link", [True, False])
def test_within_a_file_system_a_file_is_linked_unless_a_copy_is_asked_for(share: Share, link: bool) -> None:
    parcel = share.parcel()
    share.bring(parcel, link=link)
    assert (share.folder / HERE / "v.nii.gz").samefile(parcel.path) is link


def test_nothing_hidden_is_left_in_the_folder(share: Share) -> None:
    share.bring(share.parcel())
    assert [path.name for path in share.folder.iterdir()] == ["P1"]


def test_a_parcel_with_a_name_of_its_own_is_published_under_it(share: Share) -> None:
    results = share.bring(replace(share.parcel(0, name="1f2e-v.nii.gz"), name="v.nii.gz"))
    assert results[0].place == f"{HERE}/v.nii.gz"


def test_a_hostile_uid_or_name_stays_inside(share: Share) -> None:
    share.bring(share.dicom(0, uid="../../../evil"), share.parcel(1, PatientID="../.."))
    assert sorted(share.files) == [f"{HERE}/_.._.._evil.dcm", "_/3_CT/v.nii.gz"]


def test_an_identical_file_is_left_alone(share: Share) -> None:
    share.bring(share.parcel())
    before = (share.folder / HERE / "v.nii.gz").stat()
    assert share.bring(share.parcel(0))[0].outcome is Outcome.DELIVERED
    after = (share.folder / HERE / "v.nii.gz").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_later_generation_replaces_its_files_and_finish_removes_what_it_no_longer_makes(share: Share) -> None:
    share.bring(share.parcel(0, b"old"), share.parcel(1, b"x", "gone.txt", PatientID="P9"))
    share.bring(share.parcel(0, b"somebody else's", "other.txt"), owner="series 2")
    places = [result.place for result in share.bring(share.parcel(0, b"new"))]
    assert share.target().finish(places) == 1
    assert share.files == {f"{HERE}/v.nii.gz": b"new", f"{HERE}/other.txt": b"somebody else's"}
    assert [path.name for path in share.folder.iterdir()] == ["P1"]
    assert share.target().finish(places) == 0


def test_what_an_earlier_generation_brought_and_stays_is_not_written_over_unless_it_is_the_same_instance(
    share: Share,
) -> None:
    """Late ones alone were converted: their volume has the same name and is another one."""
    (volume, instance) = share.bring(share.parcel(content=b"first"), share.dicom(1, content=b"first"))
    stays = [volume.place, instance.place]
    share.bring(share.parcel(2, b"late"), share.dicom(3, content=b"late"), stays=stays)
    assert share.files[volume.place] == b"first"
    assert share.files[instance.place] == b"late"
    assert sorted(share.files.values()) == [b"first", b"late", b"late"]


def test_a_path_of_another_unit_is_not_touched(share: Share) -> None:
    share.bring(share.parcel(0, b"first"), owner="series 1")
    (result,) = share.bring(share.parcel(0, b"second"), owner="series 2")
    assert result.place.startswith(f"{HERE}/v~")
    assert result.place.endswith(".nii.gz")
    assert share.files[f"{HERE}/v.nii.gz"] == b"first"
    assert share.files[result.place] == b"second"
    assert share.bring(share.parcel(0, b"third"), owner="series 2")[0].place == result.place


def test_even_an_identical_file_of_another_unit_stays_the_others(share: Share) -> None:
    share.bring(share.parcel(), owner="series 1")
    (second,) = share.bring(share.parcel(), owner="series 2")
    share.target("series 1").finish([])
    assert share.files == {second.place: b"content"}


def test_a_file_that_a_person_put_there_is_not_overwritten(share: Share) -> None:
    (share.folder / HERE).mkdir(parents=True)
    (share.folder / HERE / "v.nii.gz").write_bytes(b"precious")
    (result,) = share.bring(share.parcel())
    assert share.files[f"{HERE}/v.nii.gz"] == b"precious"
    assert share.files[result.place] == b"content"


def test_two_files_of_one_delivery_with_the_same_name_both_arrive(share: Share) -> None:
    results = share.bring(share.parcel(0, b"a"), share.parcel(1, b"b"))
    assert sorted(share.files.values()) == [b"a", b"b"]
    assert len({result.place for result in results}) == 2


def test_a_resumed_delivery_knows_what_it_published_before(share: Share) -> None:
    (first,) = share.bring(share.parcel(0, b"a"))
    share.bring(share.parcel(1, b"b"), taken=[first.place])
    assert sorted(share.files.values()) == [b"a", b"b"]


def test_a_path_is_claimed_before_the_file_appears(share: Share) -> None:
    seen: list[bool] = []

    class Watching(Books):
        def claim(self, path: str, owner: str) -> None:
            seen.append((share.folder / path).exists())
            super().claim(path, owner)

    share.books = Watching()
    share.bring(share.parcel())
    assert seen == [False]


def test_stop_leaves_the_rest_for_later(share: Share) -> None:
    results: list[Result] = []
    parcels = [share.parcel(n, name=f"{n}.txt") for n in range(3)]
    share.target().deliver(parcels, lambda _, result: results.append(result), lambda: bool(results))
    assert list(share.files) == [f"{HERE}/0.txt"]


def test_a_file_that_is_gone_from_the_outbox_is_held_alone(share: Share) -> None:
    lost, kept = share.parcel(0), share.parcel(1, name="kept.txt")
    lost.path.unlink()
    assert [result.outcome for result in share.bring(lost, kept)] == [Outcome.REFUSED, Outcome.DELIVERED]


def test_a_missing_folder_is_not_created_but_waited_for(share: Share) -> None:
    share.folder.rmdir()
    with pytest.raises(TryAgain, match=r"out does not exist; create it, or mount what belongs there"):
        share.bring(share.parcel())
    with pytest.raises(TryAgain, match="does not exist"):
        share.target().check()


def test_a_path_in_the_way_gives_a_reason_without_header_values(share: Share) -> None:
    (share.folder / "P1").write_bytes(b"a file where a folder should be")
    with pytest.raises(TryAgain) as caught:
        share.bring(share.parcel())
    assert "P1" not in str(caught.value)
    assert "Not a directory" in str(caught.value) or "File exists" in str(caught.value)


@pytest.mark.skipif(not Path("/dev/full").exists() or os.geteuid() != 0, reason="mounting a file system needs root")
@pytest.mark.parametrize(
    ("option", "text"), [("size=64k", "is full; free some space"), ("ro", "read-only file system")]
)
def test_a_full_or_read_only_folder_says_what_to_do(share: Share, option: str, text: str) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", option, "none", share.folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine does not allow mounting a file system")
    try:
        with pytest.raises(TryAgain, match=text):
            share.bring(share.parcel(0, bytes(200_000)))
        assert share.files == {}
    finally:
        subprocess.run(["umount", share.folder], check=True)


def synced_by(monkeypatch: pytest.MonkeyPatch, below: Path) -> list[str]:
    """What is synced and renamed from now on, in order: `content NAME`, `names in FOLDER`, `shown NAME`."""
    story: list[str] = []

    def noted(what: str, sync: Callable[[int], None]) -> Callable[[int], None]:
        def call(descriptor: int) -> None:
            sync(descriptor)
            path = Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(below)
            hidden = path.parts and path.parts[0].startswith(".incoming")
            story.append(f"{what} {'of what comes' if hidden else path}")

        return call

    replace = Path.replace

    def shown(hidden: Path, visible: Path) -> Path:
        story.append(f"shown {visible.relative_to(below)}")
        return replace(hidden, visible)

    monkeypatch.setattr(os, "fdatasync", noted("content", os.fdatasync))
    monkeypatch.setattr(os, "fsync", noted("names in", os.fsync))
    monkeypatch.setattr(Path, "replace", shown)
    return story


@pytest.mark.parametrize("link", [True, False])
def test_a_file_is_on_the_disk_before_it_has_its_name_and_the_name_before_it_counts_as_delivered(
    share: Share, monkeypatch: pytest.MonkeyPatch, link: bool
) -> None:
    (share.folder / "P1").mkdir()
    parcels = [share.parcel(0, b"first", "first"), share.parcel(1, b"second", "second", PatientID="P2")]
    story = synced_by(monkeypatch, share.folder)
    share.target(link=link).deliver(parcels, lambda parcel, _: story.append(f"recorded {parcel.number}"), lambda: False)
    assert story == [
        "content of what comes", "shown P1/3_CT/first", "names in P1/3_CT", "names in P1", "recorded 0",
        "content of what comes", "shown P2/3_CT/second", "names in P2/3_CT", "names in P2", "names in .", "recorded 1",
    ]  # fmt: skip


def test_an_identical_file_that_is_there_is_on_the_disk_before_it_counts_as_delivered(
    share: Share, monkeypatch: pytest.MonkeyPatch
) -> None:
    share.bring(share.parcel())
    story = synced_by(monkeypatch, share.folder)
    share.bring(share.parcel())
    assert f"content {HERE}/v.nii.gz" in story
    assert f"shown {HERE}/v.nii.gz" not in story


def test_a_file_goes_before_the_books_forget_whose_it_was(share: Share, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one that a fault leaves there is nobody's, and stays for good."""
    share.bring(share.parcel())

    def read_only(path: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", read_only)
        with pytest.raises(TryAgain, match="read-only"):
            share.target().finish([])
    assert share.target().finish([]) == 1
    assert share.files == {}
    assert share.books.owners == {}


def test_a_kill_at_any_moment_leaves_whole_files_only(share: Share) -> None:
    for number in range(40):
        share.parcel(number, bytes([number]) * 300_000, f"{number}.bin")
    program = f"""
import os, sys
from pathlib import Path
from tests.deliver.test_folder import Books, FIELDS, LAYOUT
from node.deliver.base import Parcel
from node.deliver.folder import FolderTarget
from node.model import Kind
from node.spool.files import Files
root = Path({str(share.folder.parent)!r})
paths = [root / "outbox" / str(n) / f"{{n}}.bin" for n in range(40)]
parcels = [Parcel(number=n, path=path, kind=Kind.NIFTI, fields=FIELDS) for n, path in enumerate(paths)]
target = FolderTarget(root / "out", LAYOUT, Books(), "unit", link=False)
target.deliver(parcels, lambda p, r: print(p.number, flush=True), lambda: False)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        recorded = [process.stdout.readline() for _ in range(5)]
        process.kill()
    assert recorded[4] == "4\n"
    published = {name: data for name, data in share.files.items() if not name.startswith(".incoming")}
    assert len(published) >= 5
    assert all(data == bytes([int(Path(name).stem)]) * 300_000 for name, data in published.items())
    for name in published:
        share.books.claim(name, "unit")
    parcels = [share.parcel(n, bytes([n]) * 300_000, f"{n}.bin") for n in range(40)]
    share.bring(*parcels, owner="unit")
    assert len(share.files) == 40


def test_check_says_what_it_found_and_leaves_nothing(share: Share) -> None:
    assert "can be written to" in share.target().check()
    assert list(share.folder.iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, 4 << 20, (9 << 20) + 7])
def test_a_large_file_is_copied_whole_and_the_disk_begins_with_each_part(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share, told = Share(tmp_path), list[tuple[int, int]]()
    monkeypatch.setattr(Files, "hurry", lambda self, descriptor, start, length: told.append((start, length)))
    content = os.urandom(size)
    (result,) = share.bring(share.parcel(content=content), link=False)
    assert result.outcome is Outcome.DELIVERED
    assert share.files == {f"{HERE}/v.nii.gz": content}
    assert [start for start, _ in told] == list(range(0, size, 4 << 20))
    assert sum(length for _, length in told) == size
