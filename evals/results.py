"""What benches measured, one line of JSON a result: a bench that was broken off goes on, and seeds can be added."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Key = tuple[str, str, str, float, int, int]
"""Contestant, table, metric, seconds, seed, split."""


@dataclass(frozen=True)
class Result:
    """What one contestant reached on one table, dealt in one way, with one seed."""

    contestant: str
    table: str
    metric: str
    seconds: float
    seed: int
    score: float | None
    """On the rows that were held back; None when it failed."""
    wall_s: float | None
    info: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    split: int = 0
    """Which deal of the table into rows to learn from and rows to predict."""

    @property
    def key(self) -> Key:
        return self.contestant, self.table, self.metric, self.seconds, self.seed, self.split

    def __str__(self) -> str:
        told = f"{self.score:.5g}" if self.score is not None else f"failed: {self.error}"
        wall = f"{self.wall_s:.0f} s" if self.wall_s is not None else ""
        model = self.info.get("model", "")
        return f"{self.table:12} {self.contestant:18} split {self.split} seed {self.seed}  {told:10} {wall} {model}"


class Results:
    """A file of results. The latest of a key counts; a last line that was not written to its end is as if it were not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[Key, Result] = {}
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        for line in whole.splitlines():
            result = Result(**json.loads(line))
            self._known[result.key] = result
        if whole != text:
            path.write_text(whole, encoding="utf-8")

    def __contains__(self, key: Key) -> bool:
        return key in self._known

    def __iter__(self) -> Iterator[Result]:
        return iter(self._known.values())

    def add(self, result: Result) -> None:
        self._known.pop(result.key, None)
        self._known[result.key] = result
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")
