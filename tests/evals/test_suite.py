"""Suites, systems and what is drawn from sources, without a process started."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from evals.drawing import Drawn, draw
from evals.grading import graded
from evals.medals import leaderboard, medal, thresholds
from evals.robust_data import HUGE_ROWS, MADE, made
from evals.suite import Split, Suite, Task, load_suite, shipped
from evals.systems import System, find_systems
from team.errors import UsageError


def task(**values: object) -> Task:
    return Task.model_validate({"name": "rows", "source": "sklearn:iris", "target": "target", "licence": "CC0", "why": "small"} | values)


@pytest.mark.parametrize(
    ("name", "tasks", "folds"),
    [("smoke", 4, 1), ("classic", 24, 1), ("robust", 18, 1), ("openml-cc18", 72, 10), ("openml-amlb", 104, 10), ("mle-bench-lite", 5, 1)],
)
def test_every_shipped_suite_is_one(name: str, tasks: int, folds: int) -> None:
    suite = load_suite(name)
    assert name in shipped()
    assert (suite.name, len(suite.tasks)) == (name, tasks)
    assert {each.split.parts for each in suite.tasks} == {folds}
    assert all(each.licence and each.why for each in suite.tasks)


ROWS = {"name": "a", "source": "rows.csv", "target": "y", "licence": "CC0", "why": "small"}


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"name": "x", "why": "y", "tasks": []}, "tasks: "),
        ({"name": "x", "why": "y", "tasks": [{"name": "a"}]}, r"tasks\.0\.source: "),
        ([1], "is no suite: suite: expected fields with values"),
        ({"name": "x", "why": "y", "tasks": [ROWS | {"metric": "nope"}]}, r"tasks\.0: unknown metric 'nope'"),
        ({"name": "x", "why": "y", "tasks": [ROWS | {"metric": "rmse", "task": "multiclass"}]}, r"tasks\.0: metric 'rmse' is for"),
    ],
)
def test_a_file_that_is_no_suite_is_told_by_its_place(document: object, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(UsageError, match=complaint):
        load_suite(str(path))


def test_a_metric_is_known_by_its_other_names() -> None:
    assert Task.model_validate(ROWS | {"metric": "auc"}).metric == "roc_auc"


@pytest.mark.parametrize("name", ["nope", "../suites/smoke", "nope.yaml"])
def test_an_unknown_suite_is_told_with_those_that_there_are(name: str) -> None:
    with pytest.raises(UsageError, match="expected one of classic, mle-bench-lite"):
        load_suite(name)


def test_tasks_of_a_name_and_splits_of_two_ways_are_refused() -> None:
    with pytest.raises(ValueError, match="two tasks are called 'rows'"):
        Suite(name="x", why="y", tasks=(task(), task()))
    with pytest.raises(ValueError, match="exactly one"):
        Split(test=0.2, folds=3)


def test_systems_are_found_by_name_model_and_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").touch()
    (tmp_path / "mine.yaml").write_text("name: mine\ncommand: ['{python}', mine.py, '{out}']\n")
    found = find_systems(["dummy", "probes", "llm", str(tmp_path / "mine.yaml"), "dummy"], model="openai:m")
    assert [system.name for system in found][-2:] == ["llm:openai:m", "mine"]
    assert len(found) == 8
    assert found[-1].command == ("{python}", str(tmp_path / "mine.py"), "{out}")
    assert found[-2].network
    for name, complaint in (("nope", "no system 'nope'"), ("llm", "names no model"), ("aide", "names no model")):
        with pytest.raises(UsageError, match=complaint):
            find_systems([name])
    several = "openai:m@http://10.0.0.5:1/v1?api-version=2024,openai:n,playbook"
    assert find_systems(["llm"], several)[0].name == f"llm:{several}"
    for spec in (several, "playbook"):
        with pytest.raises(UsageError, match="asks one language model"):
            find_systems(["aide"], spec)
    for kind in ("llm", "aide"):
        with pytest.raises(UsageError, match="no name that pages can show"):
            find_systems([kind], f"openai:{'m' * 200}")
    (tmp_path / "odd.yaml").write_text("name: odd\n")
    with pytest.raises(UsageError, match="is no system: command"):
        find_systems([str(tmp_path / "odd.yaml")])


def test_every_rival_and_simple_system_is_pinned_or_ours() -> None:
    for system in find_systems(["autogluon", "flaml", "mljar", "h2o", "tpot", "aide"], model="openai:m"):
        assert "==" in " ".join(system.packages), system.name
        assert Path(system.command[1]).is_file()
    assert find_systems(["playbook"])[0].packages == ()
    one, other = find_systems(["aide:openai:m", "aide:openai:n"])
    assert (one.name, one.environment, one.packages) == ("aide:openai:m", "aide", other.packages), (
        "rows of two models are not one another's"
    )


def test_a_seed_splits_anew_within_classes_and_folds_cover_every_row_once(tmp_path: Path) -> None:
    first, again, other = (draw(task(), seed, 0, tmp_path) for seed in (0, 0, 1))
    assert isinstance(first.train, pd.DataFrame)
    assert (len(first.train), len(first.test)) == (112, 38)
    assert first.answers["target"].value_counts().tolist() == [13, 13, 12]
    pd.testing.assert_frame_equal(first.test, again.test)
    assert not first.test.index.equals(other.test.index)
    assert "target" not in first.test
    assert first.meta["classes"] == ["0", "1", "2"]
    folds = [draw(task(split={"folds": 5}), 0, fold, tmp_path) for fold in range(5)]
    assert sorted(row for fold in folds for row in fold.test.index) == list(range(150))


def test_a_digest_tells_rows_answers_and_metric_apart(tmp_path: Path) -> None:
    def digest(seed: int = 0, **values: object) -> str:
        drawn = draw(task(**values), seed, 0, tmp_path)
        drawn.write(tmp_path)
        return drawn.digest(tmp_path)

    assert digest() == digest()
    assert len({digest(), digest(1), digest(split={"test": 0.3}), digest(metric="accuracy")}) == 4
    drawn = draw(task(), 0, 0, tmp_path)
    drawn.write(tmp_path)
    changed = replace(drawn, answers=drawn.answers.assign(target="0"))
    assert changed.digest(tmp_path) != drawn.digest(tmp_path), "the answers are in it, which are in no file"


def test_the_split_of_mle_bench_is_the_same_for_every_seed(tmp_path: Path) -> None:
    from sklearn.model_selection import train_test_split

    theirs = train_test_split(np.arange(150), test_size=0.1, random_state=0)[1]
    for seed in (0, 7):
        assert sorted(draw(task(split={"mle": 0.1}), seed, 0, tmp_path).test.index) == sorted(theirs)


def test_the_file_of_a_competition_is_read_out_of_its_archive(tmp_path: Path) -> None:
    folder = tmp_path / "came"
    (folder / "inner").mkdir(parents=True)
    pd.DataFrame({"id": range(40), "text": ["a b", "c d"] * 20, "author": ["EAP", "HPL"] * 20}).to_csv(
        folder / "inner" / "train.csv", index=False
    )
    shutil.make_archive(str(folder / "train"), "zip", folder / "inner")
    shutil.rmtree(folder / "inner")
    (folder / "sample_submission.csv").write_text("id,EAP\n1,0.5\n")
    drawn = draw(task(source=str(folder), target="author", file="train.csv", split={"mle": 0.1}), 0, 0, tmp_path)
    assert (len(drawn.test), list(drawn.test.columns)) == (4, ["id", "text"])


def test_a_split_of_the_source_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="brings 0 folds"):
        draw(task(split={"own": 10}), 0, 0, tmp_path)


@pytest.mark.parametrize("name", sorted(set(MADE) - {"control", "huge", "one_line"}))
def test_robust_data_is_made_with_answers_for_its_rows(name: str, tmp_path: Path) -> None:
    drawn = draw(load_suite("robust").task(name), 0, 0, tmp_path)
    assert len(drawn.test) == len(drawn.answers) > 0
    assert "label" not in drawn.test
    assert set(drawn.answers["label"]) <= {"yes", "no"}
    drawn.write(tmp_path)
    assert (tmp_path / "train.csv").exists()
    assert draw(load_suite("robust").task(name), 0, 0, tmp_path).test.equals(drawn.test)


def test_what_is_not_made_is_told() -> None:
    with pytest.raises(UsageError, match="'made:nope'"):
        made("nope", 0)
    assert HUGE_ROWS >= 1_000_000


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    return draw(task(metric="log_loss"), 0, 0, tmp_path_factory.mktemp("environments"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "there is no predictions.csv"),
        ("", "is no table"),
        ("proba_0,proba_1,proba_2\n" + "1,0,0\n" * 37, "37 predictions for 38 rows"),
        ("proba_0,proba_1,proba_2\n" + "nan,0,0\n" * 38, "38 values of column proba_0 are missing"),
        ("proba_0,proba_1,proba_2\n" + "x,0,0\n" * 38, "holds what is no number"),
        ("proba_0,proba_1,proba_2\n" + "2,-1,0\n" * 38, "38 probabilities are less than 0"),
        ("score\n" + "1\n" * 38, "neither a column proba_0 nor prediction"),
        ("prediction\n" + "setosa\n" * 38, "'setosa' is no class"),
        ("proba_0\n" + "9" * 100_000 + "\n", "were expected"),
    ],
)
def test_predictions_that_do_not_fit_are_told_and_not_scored(text: str | None, reason: str, drawn: Drawn, tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    if text is not None:
        path.write_text(text)
    grade = graded(drawn.meta, drawn.answers, path)
    assert grade.score is None
    assert reason in grade.reason


def test_probabilities_that_sum_to_more_than_one_gain_nothing(drawn: Drawn, tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    path.write_text("proba_0,proba_1,proba_2\n" + "1,1,1\n" * 38)
    assert graded(drawn.meta, drawn.answers, path).score == pytest.approx(np.log(3))


def test_a_link_in_place_of_predictions_is_not_followed(drawn: Drawn, tmp_path: Path) -> None:
    real = tmp_path / "real.csv"
    real.write_text("prediction\n" + "0\n" * 38)
    (tmp_path / "predictions.csv").symlink_to(real)
    assert "symbolic link" in graded(drawn.meta, drawn.answers, tmp_path / "predictions.csv").reason
    assert graded(drawn.meta, drawn.answers, real).score is not None


def test_medals_go_by_the_number_of_teams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert thresholds([float(place) for place in range(50)], "max") == {"gold": 45.0, "silver": 40.0, "bronze": 30.0}
    assert thresholds([float(place) for place in range(2000)], "min") == {"gold": 13.0, "silver": 99.0, "bronze": 199.0}
    scores = [float(place) for place in range(100)]
    assert set(thresholds([1.0, 2.0], "min").values()) == {1.0}, "the first of two teams has every medal"
    assert thresholds([float(n) for n in range(99)], "min")["gold"] == 8.0, "a tenth of 99 teams is nine of them"
    assert [medal(score, "max", scores) for score in (90, 89, 79, 59)] == ["gold", "silver", "bronze", "none"]
    assert leaderboard("spooky") is None
    folder = tmp_path / "mlebench" / "competitions" / "spooky"
    folder.mkdir(parents=True)
    monkeypatch.setenv("MLE_BENCH", str(tmp_path))
    (folder / "leaderboard.csv").write_text("version https://git-lfs.github.com/spec/v1\nsize 3\n")
    assert leaderboard("spooky") is None, "a pointer that was not fetched"
    (folder / "leaderboard.csv").write_text("teamName,score\na,0.1\nb,\nc,0.3\n")
    assert leaderboard("spooky") == [0.1, 0.3]


def test_a_system_says_what_it_is() -> None:
    with pytest.raises(ValueError, match="command"):
        System.model_validate({"name": "x", "command": []})
