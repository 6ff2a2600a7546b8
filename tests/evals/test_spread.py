"""A search whose fits an engine spreads: the same scores as one in one process, and a study that goes on after a kill."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evals.engines.local import LocalEngine
from evals.spread import Search, search
from team.cli import main
from team.errors import MlteamError, PrerequisiteMissing
from tests.tools.conftest import diabetes, write_workspace
from tests.tools.postgres import Cluster, binaries
from tools.candidates import Candidate, CandidateSpec
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
    later = Search(run, "tree", studies, trials=4, sandbox="unsafe-local")
    assert (list(later), later.best) == ([], None)
    fitted = later.again(LocalEngine(2), later.study.best_trial)
    assert fitted.candidate.fold_scores == pytest.approx(best.fold_scores)
    assert fitted.oof == pytest.approx(asked.best.oof)


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


def test_a_study_begins_with_what_the_run_found(run: Path, tmp_path: Path) -> None:
    default = next(Search(run, "tree", f"journal:{tmp_path / 'own'}", trials=1))
    params = {**default.params, "max_depth": 3}
    known = Candidate(
        name="tree-1",
        family="tree",
        preparation="default",
        metric="rmse",
        score=60.0,
        std_error=1.0,
        params=params,
        fold_scores=[60.0],
        n_folds=1,
        fit_seconds=1.0,
        predict_ms_per_row=0.1,
    )
    assert next(Search(run, "tree", f"journal:{tmp_path / 'known'}", trials=1, known=known)).params == params
    strange = known.model_copy(update={"params": {"max_depth": "all of them"}})
    assert next(Search(run, "tree", f"journal:{tmp_path / 'strange'}", trials=1, known=strange)).params == default.params


def test_fits_that_cannot_be_made_anywhere_end_the_search_and_their_trial_comes_again(run: Path, tmp_path: Path) -> None:
    studies = f"journal:{tmp_path / 'studies'}"
    asked = Search(run, "tree", studies, trials=1)
    with pytest.raises(PrerequisiteMissing, match="no sandbox works here"):
        asked.take(next(asked), PrerequisiteMissing("no sandbox works here"))
    assert next(Search(run, "tree", studies, trials=1)).trial == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere", "--family", "tree"], 2, "'nowhere' is no run directory"),
        (["RUN", "--family", "oak"], 2, "unknown family 'oak'"),
        (["RUN", "--family", "dummy"], 2, "--family dummy: it has nothing to search for a regression task. Expected one of: linear, tree,"),
        (["RUN", "--family", "coxnet"], 2, "--family coxnet: it has nothing to search for a regression task"),
        (["RUN", "--family", "tree", "--preparation", "bold"], 2, "no preparation 'bold'"),
        (["RUN", "--family", "tree", "--sampler", "dice"], 2, "--sampler 'dice': expected one of tpe, random, nsga2."),
        (["RUN", "--family", "tree", "--engine", "slurm"], 2, "--engine 'slurm': expected local, or dask://HOST:PORT"),
        (["RUN", "--family", "tree", "--jobs", "0"], 2, "--jobs 0: expected 1 or more"),
        (
            ["RUN", "--family", "tree", "--studies", "mysql://u:secret@here/d"],
            2,
            "expected postgresql://USER:PASSWORD@HOST/DATABASE or journal:",
        ),
        (["RUN", "--family", "tree", "--studies", "postgresql://u:secret@127.0.0.1:9/d"], 4, "the database did not take the study"),
        (["RUN", "--family", "tree", "--fork"], 2, "has trained nothing yet"),
    ],
)
def test_what_cannot_be_searched_is_one_message(
    run: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    (run / "events.jsonl").touch()
    (run / "settings.yaml").write_text("source: sklearn:diabetes\n")
    with pytest.raises(SystemExit) as ended:
        main(["eval", "tune", *(str(run) if word == "RUN" else word for word in words)])
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out) == (code, "")
    assert said in printed.err
    assert "secret" not in printed.err
    assert len(printed.err.strip().splitlines()) == 1
    assert not list(run.parent.glob("studies*"))
