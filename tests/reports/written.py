"""A run directory written by hand: real events through the real log, real files, no team and no kernel."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from pathlib import Path
from typing import Any

from team.cells import CellJournal
from team.events import (
    CandidateScored,
    Event,
    HoldoutScored,
    MessageSpoken,
    ModelCalled,
    OptimismEstimated,
    ProgressMade,
    Reviewed,
    RoundEnded,
    RunEnded,
    RunStarted,
    SandboxChosen,
    StageEnded,
    StageEntered,
    ToolCalled,
    ToolReturned,
    TurnEnded,
    TurnStarted,
)
from team.log import EventLog
from team.rundir import RunDir, create_run
from team.sandbox import CellResult
from tools.contract import Contract, Split
from tools.predictions import write_predictions
from tools.show import PROGRESS_MIME, RESULT_MIME, as_html, as_text

SETTINGS = {
    "source": "data.csv",
    "target": "Sex",
    "goal": None,
    "metric": None,
    "time": 30.0,
    "trials": None,
    "model": "playbook",
    "sandbox": {"memory_mb": 4096, "cpus": None, "kind": "auto"},
    "out": "runs",
    "seed": 0,
    "holdout": 0.2,
    "folds": 5,
    "group": None,
    "time_column": None,
}
SCORES = {
    "dummy-1": ("dummy", "baseline", [0.5, 0.5, 0.5, 0.5, 0.5]),
    "linear-1": ("linear", "baseline", [0.95, 0.96, 0.97, 0.94, 0.98]),
    "lightgbm-1": ("lightgbm", "train", [0.96, 0.97, 0.98, 0.96, 0.99]),
}


def png(width: int = 3, height: int = 2) -> bytes:
    """A grey image, with a text chunk as matplotlib writes one."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    pixels = zlib.compress(b"".join(b"\0" + bytes(width) for _ in range(height)))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"tEXt", b"Software\0somebody") + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def encoded(image: bytes) -> str:
    return base64.b64encode(image).decode("ascii")


def contract(**changes: Any) -> Contract:
    split = Split(kind="stratified", holdout_fraction=0.2, seed=0)
    facts: dict[str, Any] = {
        "task": "binary",
        "target": "Sex",
        "metric": "roc_auc",
        "direction": "maximize",
        "classes": ["MALE", "FEMALE"],
        "positive": "FEMALE",
        "split": split,
        "folds": 5,
        "rows_train": 266,
        "rows_holdout": 67,
        "features": ["Mass", "Depth"],
        "seed": 0,
    }
    return Contract(**{**facts, **changes})


MOMENTS = {
    "mean": 44.0912,
    "std": 5.2845,
    "skew": 0.1246,
    "kurtosis": -0.5904,
    "p1": 34.1123,
    "p5": 36.2345,
    "p25": 39.6123,
    "p75": 48.1234,
    "p95": 51.9812,
    "p99": 55.9123,
    "shape": "lognormal",
    "distance": 0.0712,
    "fits": True,
}
"""Of a column: as many figures as make a row too wide for a phone."""


def profile(name: str = "Mass") -> dict[str, Any]:
    return {
        "table": "train",
        "rows": 266,
        "columns": 2,
        "target": "Sex",
        "task": "binary",
        "target_distribution": [{"label": "MALE", "value": 0.51}, {"label": "FEMALE", "value": 0.49}],
        "profiles": [
            {"column": name, "kind": "numeric", "missing": 0.3, "unique": 9, "low": "1", "middle": "2", "high": "3", "association": 0.8},
            {"column": "Depth", "kind": "categorical", "missing": 0.0, "unique": 2, "top": f"{name} 60%", "association": None},
        ],
        "not_shown": 0,
        "warnings": [{"kind": "high_cardinality", "columns": [name], "message": f"{name!r} has very many values"}],
        "plots": ["plots/target.png", "plots/missing.png"],
        "sampled_rows": 266,
        "readings": [{"column": name, "kind": "numeric", "confidence": 0.9, "reasons": "holds fractions of many different sizes"}],
        "moments": [MOMENTS | {"column": name}, MOMENTS | {"column": "Depth"}],
        "seconds": 0.1,
    }


def evaluation(name: str = "Mass") -> dict[str, Any]:
    return {
        "candidate": "lightgbm-1",
        "metrics": [{"metric": "roc_auc", "score": 0.972, "low": 0.95, "high": 0.99, "level": 0.95}],
        "members": [],
        "importance": [{"column": name, "importance": 0.16}, {"column": "Depth", "importance": -0.001}],
        "importance_kind": "worsening of roc_auc when the column is shuffled",
        "plots": ["plots/lightgbm-1-roc.png", "plots/lightgbm-1-importance.png"],
        "seconds": 2.0,
    }


class Written:
    """Writes events the way the conductor does, and remembers nothing that the directory does not hold."""

    def __init__(self, out: Path) -> None:
        self.run: RunDir = create_run(out, "test")
        self.log = EventLog(self.run.events)
        self.cells = CellJournal(self.run.cells)
        self._turn = 0
        self._call = 0

    def __enter__(self) -> Written:
        return self

    def __exit__(self, *_: object) -> None:
        self.log.close()

    def add(self, event: Event) -> int:
        return self.log.append(event).seq

    def start(self, **settings: Any) -> None:
        versions = {"python": "3.11.7", "mlteam": "0.1.0"}
        self.add(RunStarted(run=self.run.name, settings={**SETTINGS, **settings}, versions=versions))
        self.add(SandboxChosen(sandbox="bubblewrap", why="it works here and isolates"))

    def enter(self, stage: str, visit: int = 1) -> None:
        self.add(StageEntered(stage=stage, visit=visit))

    def leave(self, stage: str, visit: int = 1, *, seconds: float = 2.0, search: float = 0.0) -> None:
        self.add(StageEnded(stage=stage, visit=visit, outcome="done", seconds=seconds, search_seconds=search))

    def turn(self, role: str, stage: str) -> None:
        self._turn += 1
        self.add(TurnStarted(turn=self._turn, role=role, stage=stage, briefing="[stage]"))

    def say(self, role: str, text: str, *, last: bool = True) -> None:
        self.model(role)
        self.add(MessageSpoken(turn=self._turn, role=role, text=text))
        if last:
            self.add(TurnEnded(turn=self._turn, role=role, status="ok", seconds=1.0))

    def model(self, role: str, *, usd: float | None = 0.0, tokens: int = 0) -> None:
        facts = {"provider": "playbook", "model": "playbook", "finish_reason": "stop", "seconds": 0.0}
        self.add(ModelCalled(turn=self._turn, role=role, input_tokens=tokens, output_tokens=tokens, usd=usd, **facts))

    def call(
        self,
        role: str,
        tool: str,
        arguments: dict[str, Any] | None = None,
        result: dict[str, Any] | None = None,
        *,
        why: str = "because",
        status: str = "ok",
        text: str = "",
        search: float = 0.0,
        between: list[Event] | None = None,
    ) -> str:
        """One call with the words that go with it, and what the host noted while it ran."""
        self._call += 1
        call = f"call{self._call}"
        self.add(ToolCalled(call=call, turn=self._turn, role=role, tool=tool, where="host", arguments=arguments or {}))
        self.add(MessageSpoken(turn=self._turn, role=role, text=why))
        for event in between or []:
            self.add(event)
        self.add(ToolReturned(call=call, tool=tool, status=status, seconds=1.5, search_seconds=search, result=result, text=text))
        return call

    def cell(
        self,
        call: str,
        tool: str,
        code: str,
        *,
        role: str = "engineer",
        stage: str = "train",
        status: str = "ok",
        outputs: list[dict[str, Any]] | None = None,
        result: dict[str, Any] | None = None,
        images: list[bytes] | None = None,
    ) -> None:
        shown = [
            {"output_type": "display_data", "data": {"image/png": encoded(image), "text/plain": "<Image>"}, "metadata": {}}
            for image in images or []
        ]
        if result is not None:
            data = {RESULT_MIME: result, "text/plain": as_text(result), "text/html": as_html(result)}
            shown.append({"output_type": "display_data", "data": data, "metadata": {}})
        self.cells.add(call, role, stage, tool, code, CellResult(status=status, text="", outputs=[*(outputs or []), *shown], seconds=0.5))

    def seal(self, **changes: Any) -> Contract:
        fixed = contract(**changes)
        self.run.contract.write_text(fixed.model_dump_json())
        manifest = {"source": "data.csv", "rows": 344, "columns": 3, "bytes": 53098, "sha256": "ab" * 32, "licence": None}
        self.run.manifest.write_text(json.dumps(manifest))
        return fixed

    def score(self, name: str, family: str, stage: str, folds: list[float]) -> CandidateScored:
        mean = sum(folds) / len(folds)
        return CandidateScored(name=name, family=family, score=mean, std_error=0.005, fold_scores=folds, stage=stage, seconds=0.4)


def finished(out: Path, *, name: str = "Mass", **settings: Any) -> RunDir:
    """A run that went from its first stage to its end; `name` is a column of the data."""
    with Written(out) as w:
        w.start(**settings)
        w.enter("plan")
        w.turn("planner", "plan")
        plan = {"approach": f"Predict from {name}.", "steps": ["First, look."], "families": ["lightgbm"], "risks": ["A leak."]}
        w.call("planner", "record_plan", plan, plan)
        w.run.plan.write_text(json.dumps(plan))
        w.say("planner", "The plan is made.")
        w.leave("plan")
        w.enter("analyse")
        w.seal(features=[name, "Depth"])
        w.turn("data_scientist", "analyse")
        call = w.call("data_scientist", "profile_table", {}, profile(name), why=f"What is {name}?")
        code = "from tools.eda import profile_table"
        w.cell(call, "profile_table", code, role="data_scientist", stage="analyse", result=profile(name), images=[png(), png(4)])
        w.say("data_scientist", f"{name} is strong.")
        w.leave("analyse")
        w.enter("train")
        w.turn("engineer", "train")
        scored = [w.score(candidate, *facts) for candidate, facts in SCORES.items()]
        skipped = {"skipped": [{"name": "mlp-1", "reason": f"no time for {name}"}]}
        call = w.call("engineer", "train", {"families": ["lightgbm"], "note": name}, skipped, search=3.0, between=[*scored])
        progress = {"output_type": "display_data", "data": {PROGRESS_MIME: {"fold": 1}, "text/plain": "fold 1"}, "metadata": {}}
        stream = {"output_type": "stream", "name": "stderr", "text": "a warning\n"}
        w.cell(call, "train", "from tools.training import train", outputs=[progress, stream], result=skipped)
        w.call("engineer", "tune", {"family": "lightgbm"}, {"gain": 0.0}, search=1.0)
        w.say("engineer", "Trained.")
        w.add(RoundEnded(round=1, gain=0.001, noise=0.002))
        w.leave("train", seconds=4.0, search=4.0)
        w.enter("select")
        w.turn("engineer", "select")
        call = w.call("engineer", "evaluate", {"candidate": "lightgbm-1"}, evaluation(name))
        w.cell(call, "evaluate", "from tools.evaluation import evaluate", stage="select", result=evaluation(name), images=[png(5), png(6)])
        w.say("engineer", "Fitted.")
        w.turn("critic", "select")
        review = Reviewed(stage="select", verdict="accept", findings=[f"{name} is no leak."])
        w.call("critic", "review", {"verdict": "accept"}, {"verdict": "accept"}, between=[review])
        score = {
            "candidate": "lightgbm-1",
            "metric": "roc_auc",
            "score": 0.9777,
            "low": 0.9483,
            "high": 0.9973,
            "level": 0.95,
            "n": 67,
            "looks": 1,
        }
        pick = OptimismEstimated(candidate="lightgbm-1", score=0.972, corrected=0.9699, optimism=0.0021, candidates=3, resamples=200)
        w.call("critic", "score_holdout", {"candidate": "lightgbm-1"}, score, between=[pick, HoldoutScored(**score)])
        look = {"at": 1.0, "candidate": "lightgbm-1", "score": 0.9777, "low": 0.9, "high": 1.0, "level": 0.95, "n": 67, "final": True}
        (w.run.vault / "ledger.jsonl").write_text(json.dumps(look) + "\n")
        w.say("critic", "The holdout was looked at once.")
        w.leave("select")
        w.run.sections.write_text(json.dumps({"summary": f"The column {name} decides.\n\nA second paragraph.", "limitations": "Few rows."}))
        w.call("release_manager", "package_model", {}, {"path": "model"})
        w.cell("later", "predict_rows", "from tools.finishing import predict_rows", stage="release")
        w.add(RunEnded(status="done", seconds=9.0))
    return w.run


def predicted(run: RunDir, fixed: Contract, *, name: str = "Mass", candidate: str = "lightgbm-1") -> tuple[Any, Any]:
    """Training rows and a candidate's out-of-fold predictions in a run; the codes or values of the target, and what was predicted."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    rows = fixed.rows_train
    signal = rng.normal(size=rows)
    if fixed.classes:
        truth = (signal + rng.normal(size=rows) > 0).astype(int)
        positive = 1 / (1 + np.exp(-2 * signal))
        values, target = np.column_stack([1 - positive, positive]), np.array(fixed.classes)[truth]
    else:
        truth = target = 40 + 10 * signal + rng.normal(size=rows)
        values = 40 + 10 * signal
    table = {name: signal.round(3), "Depth": np.where(signal > 0, "deep", "flat"), fixed.target: target}
    run.data.mkdir(exist_ok=True)
    pd.DataFrame(table).to_parquet(run.data / "train.parquet")
    write_predictions(run.work / "candidates" / candidate / "oof.parquet", fixed, values, np.arange(rows) % fixed.folds)
    return truth, values


def searched(out: Path, name: str = "Mass") -> RunDir:
    """A finished run with all that charts are drawn of: predictions, a learning curve, reliance and trials of tuning."""
    run = finished(out, name=name)
    predicted(run, contract(features=[name, "Depth"]), name=name)
    log = EventLog(run.events)
    log.append(ToolCalled(call="t", turn=9, role="engineer", tool="tune", where="kernel", arguments={"family": "lightgbm"}))
    for number in range(12):
        tried = {"param.learning_rate": 10.0 ** -(1 + number % 3), "param.leaves": 8 * (number + 1), "param.booster": "ab"[number % 2]}
        log.append(ProgressMade(call="t", facts={"trial": number, "score": 0.9 + number / 200, "best": 0.96, **tried}))
    shares = {"importance": {"learning_rate": 0.7, "leaves": 0.2, "booster": 0.1}}
    log.append(ToolReturned(call="t", tool="tune", status="ok", seconds=9.0, search_seconds=9.0, result=shares, text=""))
    both = {"importance": 0.02, "std_error": 0.01, "contribution": 0.3}
    explained = {**explanation(name), "reliance": [*explanation(name)["reliance"][:1], {"column": "Depth", **both}]}
    for number, (tool, result) in enumerate([("learning_curve", curve()), ("explain", explained)]):
        log.append(ToolCalled(call=f"t{number}", turn=9, role="engineer", tool=tool, where="kernel", arguments={}))
        log.append(ToolReturned(call=f"t{number}", tool=tool, status="ok", seconds=1.0, search_seconds=0.0, result=result, text=""))
    log.append(RunEnded(status="done", seconds=30.0))
    log.close()
    return run


def examined(out: Path, name: str = "Mass") -> RunDir:
    """A run whose candidate was examined: slices, learning curve, explanation. `name` is a column of the data."""
    with Written(out) as w:
        w.start()
        w.enter("select")
        w.seal(features=[name, "Depth"])
        w.turn("engineer", "select")
        w.add(w.score("lightgbm-1", *SCORES["lightgbm-1"]))
        w.call("engineer", "learning_curve", {"candidate": "lightgbm-2"}, {**curve(), "candidate": "lightgbm-2", "gain": 0.777})
        call = w.call("engineer", "learning_curve", {"candidate": "lightgbm-1"}, curve())
        w.cell(call, "learning_curve", "learning_curve()", stage="select", result=curve(), images=[png(7)])
        call = w.call("engineer", "explain", {"candidate": "lightgbm-1"}, explanation(name))
        w.cell(call, "explain", "explain()", stage="select", result=explanation(name), images=[png(8)])
        w.turn("critic", "select")
        w.call("critic", "find_slices", {"candidate": "lightgbm-1"}, slices(name))
        w.call("engineer", "nested_score", {"families": ["linear", "tree"]}, nested())
        w.call("critic", "compare_models", {"leader": "lightgbm-1"}, standings())
        w.add(
            HoldoutScored(candidate="lightgbm-1", metric="roc_auc", score=0.97, low=0.94, high=0.99, level=0.95, n=67, looks=1),
        )
        w.leave("select")
    return w.run


def nested() -> dict[str, Any]:
    picks = [{"fold": fold, "family": "linear", "inner": 0.96, "outer": 0.95 if fold else None} for fold in range(3)]
    facts = {"families": ["linear", "tree"], "folds": 3, "folds_in_all": 5, "nested": 0.9512, "std_error": 0.0123, "flat": 0.9602}
    return {**facts, "optimism": 0.009, "estimated": 0.0045, "picks": picks, "metric": "roc_auc", "direction": "maximize", "seconds": 9.0}


def standings() -> dict[str, Any]:
    def rival(name: str, score: float, p: float, apart: bool) -> dict[str, Any]:
        tests = [{"test": "corrected_t", "over": "folds", "p_corrected": p}, {"test": "delong", "over": "rows", "p_corrected": 0.0004}]
        return {"name": name, "family": name[:-2], "score": score, "p": p, "apart": apart, "tests": tests}

    return {
        "leader": "lightgbm-1",
        "score": 0.97,
        "metric": "roc_auc",
        "direction": "maximize",
        "level": 0.05,
        "correction": "holm",
        "pairs": 3,
        "rivals": [rival("linear-1", 0.96, 0.4321, False), rival("dummy-1", 0.5, 0.0123, True)],
        "alike": ["linear-1"],
        "untested": [],
    }


def slices(name: str = "Mass") -> dict[str, Any]:
    found = {
        "conditions": [f"{name} > 4200", "Depth = 'a'"],
        "columns": [name, "Depth"],
        "rows": 61,
        "share": 0.23,
        "loss": 0.4321,
        "loss_elsewhere": 0.1234,
        "low": 0.2,
        "high": 0.42,
        "p_value": 0.0002,
        "score": None,
    }
    return {
        "candidate": "lightgbm-1",
        "loss": "log loss",
        "rows": 266,
        "rows_tested": 133,
        "loss_overall": 0.19,
        "metric": "roc_auc",
        "score_overall": 0.97,
        "looked_at": 1357,
        "tested": 9,
        "level": 0.05,
        "slices": [found],
        "complete": True,
        "seconds": 0.2,
    }


def curve() -> dict[str, Any]:
    points = [{"rows": rows, "score": score, "std_error": 0.01} for rows, score in ((25, 0.8111), (80, 0.9), (212, 0.9612))]
    return {
        "candidate": "lightgbm-1",
        "fitted": "lightgbm-1",
        "metric": "roc_auc",
        "points": points,
        "folds": 4,
        "score": 0.961,
        "doubled": 0.98,
        "gain": 0.0187,
        "low": 0.0049,
        "high": 0.0312,
        "level": 0.9,
        "noise": 0.006,
        "verdict": "likely",
        "plots": ["plots/lightgbm-1-learning-curve.png"],
        "seconds": 3.0,
    }


def explanation(name: str = "Mass") -> dict[str, Any]:
    parts = [{"column": name, "value": "4250", "contribution": 1.5}, {"column": "Depth", "value": name, "contribution": -0.25}]
    example = {"row": 17, "why": "most wrong", "unseen": True, "actual": "MALE", "predicted": "FEMALE (0.81)", "output": "FEMALE"}
    return {
        "candidate": "lightgbm-1",
        "unseen": True,
        "rows": 53,
        "metric": "roc_auc",
        "reliance": [
            {"column": name, "importance": 0.1579, "std_error": 0.012, "contribution": 0.8642},
            {"column": "Depth", "importance": None, "std_error": None, "contribution": None},
        ],
        "not_shown": 0,
        "without": [
            {"columns": [name], "loss": 0.1234, "low": 0.0987, "high": 0.1481, "half": 0.0247, "folds": 5},
            {"columns": [name, "Depth"], "loss": 0.4567, "low": 0.4111, "high": 0.5023, "half": 0.0456, "folds": 5},
        ],
        "ablated": "lightgbm-1",
        "method": "exact",
        "scale": "log-odds",
        "effects": [],
        "examples": [{**example, "score": 1.35, "base": 0.1, "parts": parts, "rest": 0.0}],
        "plots": ["plots/lightgbm-1-effect-1.png"],
        "seconds": 3.0,
    }
