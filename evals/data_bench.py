"""Convert generated CSV to Parquet: ours beside pandas, Polars and DuckDB, each in a process of its own, one after another.

    python -m evals.data_bench --sizes 10MB 100MB --repeats 3 --record docs/data.md

The table has 20 mixed columns, about 170 bytes a row. Told are seconds of the clock, and of the processor, which a busy machine stretches
less, bytes of CSV a second and the most memory that the process had resident.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from evals.markers import record

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}
CHUNK_ROWS = 50_000
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
TIMEOUT_S = 3600


def ours(source: Path, target: Path) -> None:
    from tools.conversion import convert

    convert(source.parent, target, {})


def with_pandas(source: Path, target: Path) -> None:
    import pandas as pd

    pd.read_csv(source, low_memory=False).to_parquet(target, index=False)


def with_polars(source: Path, target: Path) -> None:
    import polars as pl

    pl.scan_csv(source).sink_parquet(target, compression="snappy")


def with_duckdb(source: Path, target: Path) -> None:
    import duckdb

    duckdb.sql(f"COPY (SELECT * FROM read_csv('{source}')) TO '{target}' (FORMAT parquet, COMPRESSION snappy)")


def ours_and_profile(source: Path, target: Path) -> None:
    """What a run does beside: missing and different values of every column."""
    from tools.conversion import READING, TABLE, convert, described

    told = convert(source.parent, target, {})
    with tempfile.TemporaryDirectory(dir=target.parent) as vault:
        (Path(vault) / TABLE).hardlink_to(target)
        (Path(vault) / READING).write_text(told.model_dump_json(), encoding="utf-8")
        described(Path(vault), 200)


CONTESTANTS: dict[str, Callable[[Path, Path], None]] = {
    "mlteam": ours,
    "mlteam and profile": ours_and_profile,
    "pandas": with_pandas,
    "polars": with_polars,
    "duckdb": with_duckdb,
}


def generate(path: Path, size: int) -> int:
    """Write a CSV of at least `size` bytes in chunks; returns its rows."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.csv as pc

    rng = np.random.default_rng(0)
    rows = 0
    with path.open("wb") as file:
        while file.tell() < size:
            n = CHUNK_ROWS
            columns: dict[str, Any] = {"id": np.arange(rows, rows + n)}
            columns |= {f"x{i}": rng.normal(size=n).round(5) for i in range(7)}
            columns |= {f"k{i}": rng.integers(0, 10 ** (i + 2), n) for i in range(4)}
            columns |= {f"c{i}": rng.choice(WORDS, n) for i in range(3)}
            columns["code"] = [f"U{value:09}" for value in rng.integers(0, 10**9, n)]
            columns["holes"] = pa.array(rng.normal(size=n).round(3), mask=rng.random(n) < 0.1)
            columns["flag"] = rng.random(n) < 0.3
            columns["day"] = np.datetime_as_string(np.datetime64("2020-01-01") + rng.integers(0, 2000, n))
            columns["y"] = (rng.random(n) < 0.2).astype(int)
            pc.write_csv(pa.table(columns), file, pc.WriteOptions(include_header=rows == 0, quoting_style="needed"))
            rows += n
    return rows


def convert_once(name: str, source: Path) -> dict[str, Any]:
    """Run one contestant in this process."""
    import resource

    target = source.parent.with_name(f"{name}.parquet")
    start, worked = time.perf_counter(), time.process_time()
    CONTESTANTS[name](source, target)
    seconds, cpu = time.perf_counter() - start, time.process_time() - worked
    import pyarrow.parquet as pq

    facts = pq.read_metadata(target)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = {"name": name, "seconds": seconds, "cpu": cpu, "peak": peak, "rows": facts.num_rows, "columns": facts.num_columns}
    target.unlink()
    return found


def measure(size: str, folder: Path, contestants: Sequence[str], repeats: int = 1) -> list[dict[str, Any]]:
    """Contestants at one size, each in a process of its own, in turn; of each the least time of either kind and the most memory.

    Raises:
        RuntimeError: when one fails, or makes another number of rows.
    """
    place = folder / size
    place.mkdir()
    source = place / "rows.csv"
    rows = generate(source, as_bytes(size))
    found: dict[str, dict[str, Any]] = {}
    # In turn, so that a busy minute of the machine strikes all of them.
    for name in [*contestants] * repeats:
        command = [sys.executable, "-m", "evals.data_bench", "--one", name, str(source)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        if done.returncode:
            raise RuntimeError(f"{name} at {size}: {done.stderr.strip()[-500:]}")
        result = json.loads(done.stdout.splitlines()[-1])
        if result["rows"] != rows:
            raise RuntimeError(f"{name} at {size}: {result['rows']} rows, expected {rows}")
        took = f"{result['seconds']:8.2f} s {result['cpu']:8.2f} s of the processor {result['peak'] / 2**20:8.0f} MiB"
        print(f"{size:>6} {name:18} {took}", file=sys.stderr, flush=True)
        before = found.get(name, result)
        best = {key: min(before[key], result[key]) for key in ("seconds", "cpu")}
        found[name] = {**result, **best, "peak": max(before["peak"], result["peak"]), "size": size, "bytes": source.stat().st_size}
    source.unlink()
    return [*found.values()]


def as_bytes(size: str) -> int:
    """`10MB` as 10,000,000.

    Raises:
        ValueError: for another spelling.
    """
    found = re.fullmatch(r"(\d+)(KB|MB|GB)", size)
    if found is None:
        raise ValueError(f"size {size!r}: expected such as 10MB or 1GB")
    return int(found[1]) * UNITS[found[2]]


def as_table(results: Sequence[dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [
        "| size | rows | contestant | seconds | of the processor | MB a second | peak memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in results:
        rate, peak = r["bytes"] / r["seconds"] / 1e6, r["peak"] / 2**20
        lines.append(f"| {r['size']} | {r['rows']:,} | {r['name']} | {r['seconds']:.2f} | {r['cpu']:.2f} | {rate:.0f} | {peak:,.0f} MiB |")
    there = [name for name in ("pandas", "pyarrow", "polars", "duckdb") if find_spec(name)]
    versions = ", ".join(f"{name} {version(name)}" for name in there)
    return "\n".join([*lines, "", f"Python {platform.python_version()}, {versions}."])


def main() -> None:
    parser = argparse.ArgumentParser(description="Convert generated CSV to Parquet, ours beside others.")
    parser.add_argument("--sizes", nargs="+", default=["10MB", "100MB", "1GB"])
    parser.add_argument(
        "--contestants", nargs="+", default=[*CONTESTANTS], choices=CONTESTANTS, metavar="NAME", help=", ".join(CONTESTANTS)
    )
    parser.add_argument("--repeats", type=int, default=1, help="how often each converts, in turn; the least time counts")
    parser.add_argument("--record", type=Path, help="document to write the table into")
    parser.add_argument("--folder", type=Path, help="where the files lie meanwhile; a temporary folder by default")
    parser.add_argument("--one", nargs=2, metavar=("NAME", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(convert_once(arguments.one[0], Path(arguments.one[1]))))
        return
    try:
        for size in arguments.sizes:
            as_bytes(size)
    except ValueError as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        table = as_table(
            [result for size in arguments.sizes for result in measure(size, Path(folder), arguments.contestants, arguments.repeats)]
        )
    print(table)
    if arguments.record:
        record(arguments.record, "bench-data", table)


if __name__ == "__main__":
    main()
