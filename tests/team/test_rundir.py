"""The run directory: creation, refusal, lookup, lock, checkpoint."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from team.errors import UsageError
from team.rundir import RunDir, create_run, list_runs, open_run


def made(out: Path, title: str = "Some data") -> RunDir:
    run = create_run(out, title)
    run.events.touch()
    return run


def test_two_runs_of_one_second_get_two_folders(tmp_path: Path) -> None:
    first, second = made(tmp_path), made(tmp_path)
    assert first.path != second.path
    assert first.name.endswith("some-data")
    assert [r.name for r in list_runs(tmp_path)] == sorted([first.name, second.name])


def test_the_vault_is_for_the_owner_alone(tmp_path: Path) -> None:
    assert made(tmp_path).vault.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a folder that root cannot write to")
def test_an_unwritable_folder_is_refused_and_nothing_is_left() -> None:
    with pytest.raises(UsageError, match=r"cannot write to output folder '/proc/runs'.*--out"):
        create_run(Path("/proc/runs"), "x")


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(UsageError, match="cannot write to output folder"):
        create_run(tmp_path / "runs", "x")


def test_lookup_by_path_name_beginning_and_last(tmp_path: Path) -> None:
    run = made(tmp_path, "alpha")
    for reference in (run.path, str(run.path), run.name, run.name[:-2], "last"):
        assert open_run(reference, tmp_path).path == run.path


def test_a_whole_name_is_that_run_also_when_another_begins_with_it(tmp_path: Path) -> None:
    first, second = made(tmp_path), made(tmp_path)
    assert second.name.startswith(first.name)
    assert open_run(first.name, tmp_path).path == first.path


def test_lookup_of_nothing_names_what_there_is(tmp_path: Path) -> None:
    run = made(tmp_path)
    with pytest.raises(UsageError, match=f"'nope' is no run directory.*{run.name}"):
        open_run("nope", tmp_path)
    made(tmp_path)
    with pytest.raises(UsageError, match="fits several runs"):
        open_run(run.name[:8], tmp_path)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    run = made(tmp_path)
    with run.lock(), pytest.raises(UsageError, match="in use by another process"), run.lock():
        pass
    with run.lock():
        pass


def test_asking_whether_a_run_is_in_use_leaves_no_trace(tmp_path: Path) -> None:
    run = made(tmp_path)
    assert not run.in_use
    assert not (run.path / ".lock").exists()
    with run.lock():
        assert run.in_use
    assert not run.in_use


def test_a_lock_is_no_link(tmp_path: Path) -> None:
    run, precious = made(tmp_path), tmp_path / "precious.txt"
    precious.write_text("precious")
    (run.path / ".lock").symlink_to(precious)
    assert not run.in_use
    with pytest.raises(UsageError, match="a link in place of its lock"), run.lock():
        pass
    assert precious.read_text() == "precious"


def test_a_checkpoint_is_replaced_whole(tmp_path: Path) -> None:
    run = made(tmp_path)
    run.write_checkpoint({"turns": 1})
    run.write_checkpoint({"turns": 2})
    assert run.read_checkpoint() == {"turns": 2}
    assert not [p for p in run.path.iterdir() if p.name.endswith(".tmp")]
