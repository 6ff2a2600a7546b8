"""Real runs, killed and resumed: six kills of the hundred that `make chaos` makes, and the table it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evals.chaos import Chain, Kill
from evals.chaos_moments import Moment, Timeline
from evals.chaos_table import table
from evals.markers import record

THREE_KILLS_S = 1200
FEWER = {"MLTEAM_FAMILIES": "linear,extra_trees,lightgbm"}
"""Kills fall into the same stages with fewer families, sooner."""


def kill_and_resume(sandbox: str, chain: int) -> dict[str, Any]:
    """One chain of three kills, in a process of its own, whose orphans would otherwise become this one's."""
    command = [sys.executable, "-m", "evals.chaos", "--sandbox", sandbox, "--seed", "0", "--chain", str(chain), "--each", "3", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **FEWER}, timeout=THREE_KILLS_S)
    assert done.returncode == 0, done.stderr
    (document,) = json.loads(done.stdout)
    return dict(document)


@pytest.mark.slow
@pytest.mark.bubblewrap
@pytest.mark.timeout(THREE_KILLS_S)
def test_a_run_in_bubblewrap_that_is_killed_three_times_ends_as_one_that_is_not() -> None:
    document = kill_and_resume("bubblewrap", 0)
    assert document["kills"] == 3
    assert document["chains"][0]["resumes"] == 3


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.timeout(THREE_KILLS_S)
def test_a_run_in_docker_that_is_killed_three_times_ends_as_one_that_is_not() -> None:
    document = kill_and_resume("docker", 1)
    victims = {kill["moment"]["victim"] for kill in document["chains"][0]["kills"]}
    assert document["kills"] == 3
    assert len(victims) > 1, "the host alone was killed"


def chains() -> list[Chain]:
    good = Chain("bubblewrap", 0, [])
    good.kills = [
        Kill(Moment("host", "event", 3, 0.0), "start", 3),
        Kill(Moment("host", "time", 9, 1.0), "optimise: tune", 9),
        Kill(Moment("host", "start", 0, 0.5), "resuming", 9),
        Kill(Moment("kernel", "time", 9, 2.0), "optimise: tune", 9),
    ]
    good.resumes, good.seconds = 3, 40.0
    bad = Chain("bubblewrap", 1, [])
    bad.kills = [Kill(Moment("host", "time", 2, 1.0), "train: train", 2)]
    bad.problems, bad.seconds, bad.orphans_gone_s = ["result: model is 'a', undisturbed 'b'"], 30.0, 0.25
    return [good, bad]


def test_the_table_has_a_row_for_what_was_going_on_in_the_order_of_a_run() -> None:
    lines = table(chains(), Timeline([], 0.0, 20.0), seed=4).split("\n")
    assert lines[0].startswith(
        "5 kills in 2 runs (seed 4), 4 of the host process; 3 resumes; **1 of 2 runs ended as the undisturbed one, 1 did not**"
    )
    assert "takes 20 s; a kill cost 6.0 s on average" in lines[0]
    assert "0.2 s after a run's end" in lines[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[4:]]
    assert rows == [
        ["starting", "1", "1", "", "", "", "", ""],
        ["train: train", "1", "", "1", "", "", "", "1"],
        ["optimise: tune", "2", "", "1", "", "1", "", ""],
        ["resuming", "1", "", "", "1", "", "", ""],
        ["in all", "5", "1", "2", "1", "1", "", "1"],
    ]


def test_figures_replace_those_between_their_own_markers(tmp_path: Path) -> None:
    document = tmp_path / "reliability.md"
    document.write_text(
        "a\n<!-- chaos docker -->\nold\n<!-- /chaos docker -->\nb\n<!-- chaos bubblewrap -->\n<!-- /chaos bubblewrap -->\nc\n"
    )
    record(document, "chaos docker", "new")
    assert document.read_text() == (
        "a\n<!-- chaos docker -->\nnew\n<!-- /chaos docker -->\nb\n<!-- chaos bubblewrap -->\n<!-- /chaos bubblewrap -->\nc\n"
    )
    with pytest.raises(ValueError, match="no markers <!-- chaos unsafe-local -->"):
        record(document, "chaos unsafe-local", "new")
