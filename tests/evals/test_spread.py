"""A search whose fits an engine spreads: the same scores as one in one process, and a study that goes on after a kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evals.engines.local import LocalEngine
from evals.spread import Search, main, search
from team.errors import MlteamError, UsageError
from tests.tools.conftest import diabetes, write_workspace
from tests.tools.postgres import Cluster, binaries
from tools.candidates import CandidateSpec
from tools.crossval import evaluate_candidate
from tools.deadline import Deadline
from tools.studies import counted, quiet


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "some-run"
    write_workspace(folder, diabetes(), "progression", "regression")
    return folder


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with quiet():
        yield


@pytest.mark.slow
def test_trials_side_by_side_score_as_in_one_process(run: Path, tmp_path: Path) -> None:
    studies, said = f"journal:{tmp_path / 'studies'}", list[str]()
    asked = Search(run, "tree", studies, trials=4, pruner="none", sandbox="unsafe-local")
    search(LocalEngine(2), asked, said.append)
    assert len(said) == len(counted(asked.study)) == 4
    assert asked.best is not None
    best = asked.best.candidate
    assert best.score == asked.study.best_value
    spec = CandidateSpec(name="alone", family="tree", params=best.params, preparation="default")
    alone = evaluate_candidate(spec, asked.problem, asked.preparation, Deadline(), pace=False).candidate
    assert (best.score, best.fold_scores) == (pytest.approx(alone.score), pytest.approx(alone.fold_scores))
    more = Search(run, "tree", studies, trials=4)
    assert list(more) == []


def _abandoned_and_taken_up(run: Path, studies: str) -> None:
    first = next(Search(run, "tree", studies, trials=2))
    again = Search(run, "tree", studies, trials=2)
    asked = next(again)
    assert (first.trial, asked.trial) == (0, 1)
    assert (asked.params, asked.part) == (first.params, 0)
    assert again.take(asked, MlteamError("no sandbox")) == "failed: no sandbox"
    assert [trial.number for trial in counted(again.study)] == [1]
    assert next(again).trial == 2
    with pytest.raises(StopIteration):
        next(again)


def test_a_trial_that_a_kill_left_comes_again(run: Path, tmp_path: Path) -> None:
    _abandoned_and_taken_up(run, f"journal:{tmp_path / 'studies'}")


@pytest.mark.postgres
def test_studies_live_in_postgresql_as_well(run: Path) -> None:
    server = Cluster(binaries())
    try:
        server.start()
        _abandoned_and_taken_up(run, server.address("postgres"))
    finally:
        server.stop()


def test_what_cannot_be_searched_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=r"'mysql://here': expected postgresql://USER:PASSWORD@HOST/DATABASE or journal:FILE"):
        Search(run, "tree", "mysql://here", trials=1)
    assert main([str(tmp_path), "--studies", f"journal:{tmp_path / 'studies'}"]) == 2
    assert "is no directory of a run whose data was sealed" in capsys.readouterr().err
    assert main([str(run), "--family", "oak", "--studies", f"journal:{tmp_path / 'studies'}"]) == 2
    assert "oak" in capsys.readouterr().err
