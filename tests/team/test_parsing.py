"""Files are parsed in a sandbox of their own; the host takes nothing from it but a plain table."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import team.parsing
from team.parsing import Parser, read_here
from team.rundir import RunDir, create_run
from team.sandbox import Limits
from team.sandbox.choose import make_launcher
from tools.conversion import Counted, SourceRead, read_converted, take_over
from tools.sources import fetch
from tools.spec import InputRefused


def parsed(run: RunDir, kind: str) -> SourceRead:
    async def work() -> SourceRead:
        parser = Parser(run, lambda: make_launcher(kind), Limits(), asyncio.get_running_loop())
        return await asyncio.wait_for(asyncio.to_thread(parser.read), 240)

    return asyncio.run(work())


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return create_run(tmp_path / "runs", "test")


KINDS = [pytest.param("bubblewrap", marks=pytest.mark.bubblewrap), "unsafe-local"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_read_in_a_sandbox_that_ends(run: RunDir, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team.parsing, "SMALL_BYTES", 0)
    (tmp_path / "rows.csv").write_text("# by hand\na;b\n1,5;x\n2,25;\n")
    fetch(str(tmp_path / "rows.csv"), run.vault)
    told = parsed(run, kind)
    assert (told.format, told.rows, told.columns) == ("text", 2, 2)
    assert told.notes == ["1 comment lines that begin with # were left out.", "Numbers with decimal commas: 'a'."]
    expected = pd.DataFrame({"a": [1.5, 2.25], "b": pd.Series(["x", None], dtype="str")})
    pd.testing.assert_frame_equal(read_converted(run.vault), expected)
    assert sorted(p.name for p in run.path.iterdir() if p.name.startswith(".")) in ([], [".lock"])
    assert not list(run.work.iterdir())
    (tmp_path / "rows.csv").write_bytes(b"\x80\x04\x95\x10\x00")
    fetch(str(tmp_path / "rows.csv"), run.vault)
    with pytest.raises(InputRefused, match=rf"^{tmp_path}/rows.csv: a Python pickle"):
        parsed(run, kind)


def test_read_here_and_options_of_the_source(run: RunDir, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, text in (("one", "a\n1\n"), ("two", "b\n3\n4\n")):
        (tmp_path / "in" / f"{name}.csv").write_text(text)
    fetch(f"{tmp_path}/in#table=two", run.vault)
    assert read_here(run.vault).rows == 2
    assert read_converted(run.vault)["b"].tolist() == [3, 4]
    fetch(f"{tmp_path}/in", run.vault)
    with pytest.raises(InputRefused, match=rf"^{tmp_path}/in: holds 2 tables that no key relates.* as in {tmp_path}/in#table=one"):
        read_here(run.vault)


def test_what_is_no_plain_table_is_not_taken_over(run: RunDir, tmp_path: Path) -> None:
    told, work = SourceRead(format="text", rows=2, columns=1), tmp_path / "work"
    work.mkdir()
    path = work / "table.parquet"
    (tmp_path / "outside.parquet").write_bytes(b"PAR1")
    os.symlink(tmp_path / "outside.parquet", path)
    with pytest.raises(InputRefused, match="symbolic link"):
        take_over(path, work, told, run.vault)
    path.unlink()
    path.write_bytes(b"no parquet at all")
    with pytest.raises(InputRefused, match="no parquet file"):
        take_over(path, work, told, run.vault)
    pq.write_table(pa.table({"a": [{"b": 1}, {"b": 2}]}), path)
    with pytest.raises(InputRefused, match="groups of columns"):
        take_over(path, work, told, run.vault)
    pq.write_table(pa.table({"a": [1, 2, 3]}), path)
    with pytest.raises(InputRefused, match="not what it told: 3 rows"):
        take_over(path, work, told, run.vault)
    pq.write_table(pa.table({"a": [1, 2]}), path, compression="zstd")
    with pytest.raises(InputRefused, match="not what it told"):
        take_over(path, work, told, run.vault)
    assert [p.name for p in run.vault.iterdir()] == []
    pq.write_table(pa.table({"a": [1, 2]}), path)
    assert take_over(path, work, told, run.vault) == told
    for impossible in ([Counted(missing=1, unique=2, exact=True)], [Counted(missing=0, unique=1, exact=True)] * 2):
        assert take_over(path, work, told.model_copy(update={"counts": impossible}), run.vault) == told
