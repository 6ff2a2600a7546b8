"""How much memory fits take, beside what is expected of them.

    python -m evals.fit_memory [--family NAME ...] [--rows 100000]

Every fit runs in a bubblewrap sandbox of its own on a table made for it, with the family's first configuration and at most
ten seconds of iterations. `peak` is the most that the sandbox's guard saw, `table` what was in use when the table was loaded
and the library imported, both in MiB; the difference is what `Family.memory_mb` should say.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

HEAD = ("table", "rows of a fit", "family", "table MiB", "peak MiB", "fit MiB", "expected MiB")
CELL = """
from tools import memory
from tools.crossval import setting_for
from tools.deadline import Deadline
from tools.families import family, load_libraries
from tools.families.setting import FitContext
from tools.preparation import load_preparation
from tools.problem import load_problem
from tools.workspace import workspace

load_libraries([{name!r}])
space = workspace()
problem = load_problem(space)
chosen = load_preparation(space, "default", problem)
model, setting = family({name!r}), setting_for(problem, chosen)
learn = problem.learn(0)
check = (problem.folds == 0).nonzero()[0]
X = problem.X[[column.name for column in chosen.columns]]
memory.give_back()
print(len(learn), memory.used_mb(), model.memory_mb(len(learn), setting))
context = FitContext(deadline=Deadline(10))
params = dict(model.default(setting)[0])
fitted = model.fit(X.iloc[learn], problem.y[learn], X.iloc[check], problem.y[check], params, setting, context)
fitted.predict(X.iloc[check])
"""


def numbers(rows: int) -> pd.DataFrame:
    import numpy as np
    import pandas as pd

    values = np.random.default_rng(0).normal(size=(rows, 20))
    return pd.DataFrame(values, columns=[f"x{i}" for i in range(20)]).assign(y=np.where(values[:, 0] * values[:, 1] > 0, "yes", "no"))


def amounts(rows: int) -> pd.DataFrame:
    frame = numbers(rows)
    return frame.assign(y=frame["x0"] * frame["x1"] + frame["x2"])


def classes(rows: int) -> pd.DataFrame:
    import numpy as np

    return numbers(rows).assign(y=np.random.default_rng(1).choice(list("abcde"), rows))


def categories(rows: int) -> pd.DataFrame:
    """Ten columns of 8 levels and ten of 20."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"x{i}": rng.choice([f"level {j}" for j in range(8 + 12 * (i % 2))], rows) for i in range(20)})
    return frame.assign(y=np.where(frame["x0"] < "level 4", "yes", "no"))


def texts(rows: int) -> pd.DataFrame:
    """A date and a text of about 60 characters beside four numbers."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    words = np.array(["late", "broken", "fine", "thanks", "never again", "very good", "slow", "returned"])
    when = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 90_000, rows), unit="h")
    notes = [" ".join(chosen) + f" {i}" for i, chosen in enumerate(rng.choice(words, (rows, 8)))]
    return numbers(rows)[["x0", "x1", "x2", "x3", "y"]].assign(when=when.astype(str), note=notes)


TABLES: dict[str, tuple[Callable[[int], pd.DataFrame], str]] = {
    "20 numbers, 2 classes": (numbers, "binary"),
    "20 numbers, 5 classes": (classes, "multiclass"),
    "20 numbers, a number": (amounts, "regression"),
    "20 categories, 2 classes": (categories, "binary"),
    "4 numbers, date, text": (texts, "binary"),
}


async def measure(frame: pd.DataFrame, task: str, name: str) -> dict[str, float]:
    """Peak memory of one fit of a family."""
    from team.sandbox import Limits, open_kernel

    with tempfile.TemporaryDirectory() as folder:
        data, work = Path(folder) / "data", Path(folder) / "work"
        data.mkdir()
        work.mkdir()
        write_data(frame, task, data)
        async with open_kernel("bubblewrap", work=work, data=data, limits=Limits(memory_mb=None)) as kernel:
            done = await kernel.execute(CELL.format(name=name), timeout_s=600)
        if not done.ok:
            raise RuntimeError(f"{name}: {done.traceback or done.cause}")
        rows, table, expected = map(float, done.text.split()[:3])
        return {"rows": rows, "table": table, "peak": kernel.peak_mb, "fit": kernel.peak_mb - table, "expected": expected}


def write_data(frame: pd.DataFrame, task: str, data: Path, seed: int = 0) -> None:
    """What a kernel needs of a table whose target is called `y`: all rows are training rows."""
    from tools.columns import infer_schema
    from tools.contract import Contract, Split
    from tools.metrics import METRICS, default_metric

    metric = default_metric(task)  # type: ignore[arg-type]  # one of the tasks above
    labels = [] if task == "regression" else sorted(frame["y"].unique())
    contract = Contract.model_validate(
        {
            "task": task,
            "target": "y",
            "metric": metric,
            "direction": METRICS[metric].direction,
            "classes": labels,
            "positive": labels[1] if task == "binary" else None,
            "split": Split(kind="random", holdout_fraction=0.2, seed=seed),
            "folds": 5,
            "rows_train": len(frame),
            "rows_holdout": 0,
            "features": [name for name in frame.columns if name != "y"],
            "seed": seed,
        }
    )
    frame.to_parquet(data / "train.parquet", index=False)
    (data / "contract.json").write_text(contract.model_dump_json(), encoding="utf-8")
    (data / "schema.json").write_text(infer_schema(frame, "y").model_dump_json(), encoding="utf-8")


def main() -> None:
    from tools.families import NAMES

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--family", action="append", choices=NAMES, help="may be given several times; left out, all")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="one document a line instead of a table")
    options = parser.parse_args()
    if not options.json:
        print("| " + " | ".join(HEAD) + " |\n|" + "--|" * len(HEAD))
    for title, (make, task) in TABLES.items():
        frame = make(options.rows)
        for name in options.family or NAMES:
            found: dict[str, Any] = asyncio.run(measure(frame, task, name))
            if options.json:
                print(json.dumps({"table": title, "family": name, **found}), flush=True)
            else:
                figures = [f"{found[key]:,.0f}" for key in ("table", "peak", "fit", "expected")]
                print("| " + " | ".join([title, f"{found['rows']:,.0f}", name, *figures]) + " |", flush=True)


if __name__ == "__main__":
    main()
