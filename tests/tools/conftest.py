"""Small real tables as workspaces: what the host would have sealed, written the way it does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from tools.columns import infer_schema, label_text
from tools.constraints import Constraints
from tools.contract import Contract, Split, Task, predicts
from tools.metrics import METRICS, default_metric
from tools.workspace import Workspace

Open = Callable[..., Workspace]


def breast_cancer() -> pd.DataFrame:
    loaded = datasets.load_breast_cancer(as_frame=True)
    return loaded.data.iloc[:, :8].assign(diagnosis=np.where(loaded.target == 1, "benign", "malignant"))


def wine() -> pd.DataFrame:
    loaded = datasets.load_wine(as_frame=True)
    return loaded.data.assign(cultivar=loaded.target)


def diabetes() -> pd.DataFrame:
    loaded = datasets.load_diabetes(as_frame=True)
    return loaded.data.assign(progression=loaded.target)


def ink() -> pd.DataFrame:
    """Written digits: how many pixels hold ink, above the digit with the least, from every third pixel."""
    pixels = datasets.load_digits().data[:600]
    frame = pd.DataFrame(pixels[:, 2::3]).add_prefix("pixel ")
    inked = (pixels > 8).sum(axis=1)
    return frame.assign(inked=inked - inked.min())


def grades() -> pd.DataFrame:
    """Diabetes progression as a clinic may grade it: four classes whose order letters do not tell."""
    frame = diabetes()
    cuts = pd.cut(frame["progression"], [0, 80, 140, 220, 400], labels=["mild", "fair", "grave", "dire"])
    return frame.drop(columns=["progression"]).assign(grade=cuts.astype(str))


def shapes() -> pd.DataFrame:
    """Written digits with three labels: whether the digit is even, has a loop, is more than four."""
    loaded = datasets.load_digits()
    digits, frame = loaded.target[:500], pd.DataFrame(loaded.data[:500, 2::5]).add_prefix("pixel ")
    text = [";".join(n for n, of in (("even", d % 2 == 0), ("loop", d in (0, 6, 8, 9)), ("large", d > 4)) if of) for d in digits]
    return frame.assign(**{"even,loop,large": text})


def mixed(rows: int = 240) -> pd.DataFrame:
    """Every kind of column, ugly names, gaps, infinities, a class of two rows."""
    rng = np.random.default_rng(7)
    size = rng.normal(size=rows)
    colour = rng.choice(["red", "green", "blau ü", "x=1,y={2}"], rows)
    when = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 900 * 24, rows), unit="h")
    words = ["late", "broken", "fine", "thanks", "never again", "very good"]
    note = [" ".join(rng.choice(words, 4)) + f" number {i}" for i in range(rows)]
    strength = size + (colour == "red") + np.array(["fine" in text for text in note]) + 0.3 * rng.normal(size=rows)
    label = np.where(strength > 1.2, "yes", "no").astype(object)
    label[:2] = "rare"
    frame = pd.DataFrame(
        {
            "size [mm]": size,
            'colour "{a}"': colour,
            "when": when.astype(str),
            "note 🙂": note,
            "flag": rng.choice([True, False], rows),
            "constant": 1,
            "empty": np.nan,
            "a.b": rng.normal(size=rows),
            "a b": rng.choice(["u", "v"], rows),
            "$x_1^2$": rng.normal(size=rows),
            "outcome": label,
        }
    )
    frame.loc[rng.random(rows) < 0.2, ["size [mm]", 'colour "{a}"', "when", "note 🙂"]] = None
    frame.loc[3, "a.b"] = np.inf
    return frame


def lifetimes(rows: int = 400, shape: float = 1.4) -> pd.DataFrame:
    """Weibull lifetimes whose log hazard is `1.2 dose + 0.8 (site is b)`, censored by an exponential that knows nothing of it."""
    rng = np.random.default_rng(11)
    dose, site = rng.normal(size=rows), rng.choice(["a", "b", "c"], rows)
    hazard = np.exp(1.2 * dose + 0.8 * (site == "b"))
    life = 20 * (rng.exponential(size=rows) / hazard) ** (1 / shape)
    censored = rng.exponential(40, rows)
    frame = pd.DataFrame({"dose": dose, "site": site, "noise": rng.normal(size=rows), "time": np.minimum(life, censored)})
    frame.loc[rng.random(rows) < 0.1, ["dose", "site"]] = None
    return frame.assign(died=(life <= censored).astype(int))


TABLES: dict[str, tuple[Callable[[], pd.DataFrame], str, Task]] = {
    "breast_cancer": (breast_cancer, "diagnosis", "binary"),
    "wine": (wine, "cultivar", "multiclass"),
    "diabetes": (diabetes, "progression", "regression"),
    "grades": (grades, "grade", "ordinal"),
    "shapes": (shapes, "even,loop,large", "multilabel"),
    "ink": (ink, "inked", "count"),
    "bands": (diabetes, "progression", "quantile"),
    "mixed": (mixed, "outcome", "multiclass"),
}


def write_workspace(
    folder: Path,
    frame: pd.DataFrame,
    target: str,
    task: Task,
    *,
    event: str | None = None,
    metric: str | None = None,
    split: Split | None = None,
    folds: int = 3,
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9),
    seed: int = 0,
    order: list[str] | None = None,
    constraints: Constraints | None = None,
) -> Workspace:
    """Write `data/` as the vault does: every fourth row is held out, its label is kept nowhere."""
    space = Workspace(folder / "data", folder / "work")
    space.data.mkdir(parents=True)
    space.work.mkdir()
    by_class = predicts(task) == "classes"
    sealed = [target] if event is None else [target, event]
    if by_class:
        frame = frame.assign(**{target: label_text(frame[target])})
    held = np.arange(len(frame)) % 4 == 3
    train, holdout = frame[~held].reset_index(drop=True), frame[held].drop(columns=sealed).reset_index(drop=True)
    if task == "multilabel":
        order = target.split(",")
    classes = order or sorted(frame[target].unique()) if order or by_class else []
    metric = metric or default_metric(task)
    contract = Contract(
        task=task,
        target=target,
        event=event,
        metric=metric,
        direction=METRICS[metric].direction,
        classes=classes,
        quantiles=list(quantiles) if task == "quantile" else [],
        positive=classes[1] if task == "binary" else None,
        split=split or Split(kind="stratified" if by_class or event else "random", holdout_fraction=0.25, seed=seed),
        folds=folds,
        rows_train=len(train),
        rows_holdout=len(holdout),
        features=[name for name in frame.columns if name not in sealed],
        seed=seed,
        constraints=constraints or Constraints(),
    )
    train.to_parquet(space.data / "train.parquet", index=False)
    holdout.to_parquet(space.data / "holdout.parquet", index=False)
    (space.data / "contract.json").write_text(contract.model_dump_json())
    (space.data / "schema.json").write_text(infer_schema(train.drop(columns=sealed), None).model_dump_json())
    return space


@pytest.fixture
def open_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """Write a table as the workspace that kernel tools find: `open_workspace("wine")`, or a frame with target and task."""

    def write(table: str | pd.DataFrame, target: str = "", task: Task = "binary", **options: object) -> Workspace:
        if isinstance(table, str):
            make, target, task = TABLES[table]
            options = {"order": ["mild", "fair", "grave", "dire"] if table == "grades" else None, **options}
            table = make()
        space = write_workspace(tmp_path, table, target, task, **options)  # type: ignore[arg-type]
        monkeypatch.setenv("MLTEAM_DATA", str(space.data))
        monkeypatch.setenv("MLTEAM_WORK", str(space.work))
        return space

    return write
