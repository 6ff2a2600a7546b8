"""Files beside untrusted code: links are never followed, and a folder is there as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tools.files import list_names, read_regular, remove_tree, write_folder


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    return work


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_folder_is_written_whole_and_folders_on_the_way_are_made(work: Path) -> None:
    write_folder(work / "candidates" / "mine", {"a": b"1", "b": b"2"}, inside=work)
    assert everything(work) == ["candidates", "candidates/mine", "candidates/mine/a", "candidates/mine/b"]
    assert read_regular(work / "candidates" / "mine" / "b", 10, inside=work) == b"2"


@pytest.mark.parametrize("planted", ["link to a folder", "dangling link", "folder", "file"])
def test_what_lies_there_is_left_alone(work: Path, tmp_path: Path, planted: str) -> None:
    elsewhere, place = tmp_path / "elsewhere", work / "mine"
    elsewhere.mkdir()
    if planted == "folder":
        place.mkdir()
    elif planted == "file":
        place.write_text("theirs")
    else:
        place.symlink_to(elsewhere if planted == "link to a folder" else tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="mine: something lies there"):
        write_folder(place, {"a": b"1"}, inside=work)
    assert everything(work) == ["mine"]
    assert everything(elsewhere) == []


def test_a_link_on_the_way_is_refused(work: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (work / "candidates").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="candidates"):
        write_folder(work / "candidates" / "mine", {"a": b"1"}, inside=work)
    assert everything(tmp_path / "elsewhere") == []
    (work / "candidates").unlink()
    (work / "candidates").write_text("no folder")
    with pytest.raises(OSError, match="candidates"):
        write_folder(work / "candidates" / "mine", {"a": b"1"}, inside=work)


def test_a_folder_swapped_for_a_link_in_between_leads_nowhere(work: Path, tmp_path: Path) -> None:
    """The files of the folder are asked for one by one; before the second one the parent is swapped."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    class Swapping(dict[str, bytes]):
        def items(self) -> Iterator[tuple[str, bytes]]:  # type: ignore[override]  # a generator serves as well
            yield "a", b"1"
            (work / "candidates").rename(work / "moved")
            (work / "candidates").symlink_to(elsewhere)
            yield "b", b"2"

    files: Mapping[str, bytes] = Swapping()
    write_folder(work / "candidates" / "mine", files, inside=work)
    assert everything(elsewhere) == []
    assert everything(work / "moved") == ["mine", "mine/a", "mine/b"]


def test_what_fails_half_way_leaves_nothing(work: Path) -> None:
    with pytest.raises(FileExistsError):
        write_folder(work / "mine", {"a": b"1", "./a": b"2"}, inside=work)
    assert everything(work) == []


@pytest.mark.parametrize("path", ["../mine", "", "a/../../mine"])
def test_a_path_outside_is_refused(work: Path, path: str) -> None:
    with pytest.raises(OSError, match="does not lie in"):
        write_folder(work / path, {}, inside=work)


def test_a_folder_is_removed_whatever_was_done_to_it(work: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("stays")
    deep = work / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_text("goes")
    (deep / "link").symlink_to(kept)
    os.mkfifo(deep / "pipe")
    deep.chmod(0)
    (work / "a").chmod(0)
    work.chmod(0o500)
    remove_tree(work)
    assert not work.exists()
    assert everything(kept) == ["file"]
    remove_tree(work)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "canary").write_text("whole")
    return outside


def nested(folder: Path, depth: int) -> None:
    """A tower of folders, each with a file, made step by step because its whole path is too long for the system."""
    folder.mkdir()
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.close(os.open("file", os.O_CREAT, dir_fd=here))
        os.mkdir("0", dir_fd=here)
        below = os.open("0", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def test_a_tower_of_folders_is_removed(tmp_path: Path) -> None:
    nested(tmp_path / "tower", 1500)
    remove_tree(tmp_path / "tower")
    assert list(tmp_path.iterdir()) == []


def test_locked_folders_are_removed_and_links_are_not_followed(tmp_path: Path, outside: Path) -> None:
    folder = tmp_path / "folder"
    for name in ("0/1/2", "1/0/1", "a/0"):
        (folder / name).mkdir(parents=True)
    (folder / "a" / "link").symlink_to(outside)
    (folder / "link").symlink_to(outside)
    (folder / "file").symlink_to(outside / "canary")
    os.mkfifo(folder / "0" / "pipe")
    for locked in (folder / "0" / "1", folder / "1", folder):
        locked.chmod(0)
    remove_tree(folder)
    assert list(tmp_path.iterdir()) == [outside]
    assert (outside / "canary").read_text() == "whole"


def test_a_link_is_not_taken_for_a_folder(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "link").symlink_to(outside)
    outside.chmod(0o750)
    with pytest.raises(OSError, match="link"):
        remove_tree(tmp_path / "link")
    assert (outside / "canary").exists()
    assert outside.stat().st_mode & 0o777 == 0o750


def test_names_are_sorted_and_bounded(tmp_path: Path) -> None:
    folder = tmp_path / "work" / "candidates"
    folder.mkdir(parents=True)
    for name in ("c", "a", "b"):
        (folder / name).touch()
    assert list_names(folder, tmp_path / "work", 10) == ["a", "b", "c"]
    assert len(list_names(folder, tmp_path / "work", 2)) == 2


@pytest.mark.parametrize("link", ["candidates", "."])
def test_names_behind_a_link_are_not_listed(tmp_path: Path, outside: Path, link: str) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "inner").symlink_to(outside)
    with pytest.raises(OSError, match="inner"):
        list_names(work / "inner" / link, work, 10)
    with pytest.raises(OSError, match="does not lie in"):
        list_names(outside, work, 10)
    with pytest.raises(FileNotFoundError):
        list_names(work / "none", work, 10)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_folders_on_the_way_belong_to_whom_the_trusted_one_belongs(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    os.chown(work, 65532, 65532)
    write_folder(work / "candidates" / "mine", {"a": b"1"}, inside=work)
    assert ((work / "candidates").stat().st_uid, (work / "candidates").stat().st_gid) == (65532, 65532)
