"""A module as a model: fitted, saved with its text, and told in its own words when it fails."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_wine

from tests.tools.coded import CLASSES, VALUES
from tools.deadline import DeadlineReached
from tools.modelcode import fit_code, load_module
from tools.spec import ToolFailed


def wine() -> tuple[pd.DataFrame, np.ndarray]:
    loaded = load_wine(as_frame=True)
    return loaded.data, loaded.target.to_numpy()


def with_predict(body: str) -> str:
    """A fitted classifier whose `predict_proba` has this body."""
    return (
        "import numpy as np\n"
        "class Odd:\n"
        "    def fit(self, X, y):\n        self.classes_ = np.unique(y)\n        return self\n"
        f"    def predict_proba(self, X):\n        {body}\n"
        "def make_model():\n    return Odd()\n"
    )


def test_classes_come_in_the_contracts_order_and_those_not_shown_get_nothing() -> None:
    X, y = wine()
    shown = y != 1
    model = fit_code(CLASSES, X[shown], y[shown], 3)
    proba = model.predict(X)
    assert proba.shape == (178, 3)
    assert (proba[:, 1] == 0).all()
    assert np.allclose(proba.sum(axis=1), 1)
    assert (proba[shown].argmax(axis=1) == y[shown]).mean() > 0.9
    assert model.predict(X.head(0)).shape == (0, 3)


def test_the_order_of_the_estimators_own_classes_is_respected() -> None:
    backwards = with_predict("return np.tile([0.7, 0.2, 0.1], (len(X), 1))").replace("np.unique(y)", "np.array([2, 0, 1])")
    X, y = wine()
    assert fit_code(backwards, X, y, 3).predict(X)[0].tolist() == [0.2, 0.1, 0.7]


def test_values_are_predicted_as_numbers() -> None:
    loaded = load_diabetes(as_frame=True)
    X, y = loaded.data, loaded.target.to_numpy()
    column = VALUES + "\nclass Wide(Ridge):\n    def predict(self, X): return super().predict(X)[:, None]\nmake_model = Wide\n"
    assert fit_code(VALUES, X, y, 0).predict(X).shape == (442,)
    assert np.array_equal(fit_code(column, X, y, 0).predict(X), fit_code(VALUES, X, y, 0).predict(X))


def test_a_fresh_process_loads_it_from_the_pickle_alone(tmp_path: Path) -> None:
    X, y = wine()
    model = fit_code(CLASSES, X, y, 3)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    X.to_parquet(tmp_path / "rows.parquet")
    code = (
        "import pickle, sys, pandas as pd\n"
        "model = pickle.load(open('model.pickle', 'rb'))\n"
        "print(model.code == open('code.py').read(), type(model.predictor).__name__, model.predict(pd.read_parquet('rows.parquet'))[7, 0])"
    )
    (tmp_path / "code.py").write_text(CLASSES)
    path = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": path}, capture_output=True, text=True, check=True, timeout=60
    )
    same, kind, value = done.stdout.split()
    assert (same, kind) == ("True", "Scaled")
    assert float(value) == model.predict(X)[7, 0]


def test_processes_that_joblib_starts_understand_its_classes() -> None:
    code = (
        "from joblib import Parallel, delayed\n"
        "class Own:\n    def __init__(self, n): self.n = n\n    def twice(self): return Own(2 * self.n)\n"
        "def both(): return [o.n for o in Parallel(n_jobs=2)(delayed(Own.twice)(Own(n)) for n in (1, 2))]\n"
    )
    assert load_module(code).both() == [2, 4]


def test_the_same_text_is_the_same_module_and_a_broken_one_is_none() -> None:
    assert load_module(VALUES) is load_module(VALUES)
    assert load_module(VALUES) is not load_module(VALUES + "\n")
    broken = "made = []\nraise ValueError('no')\n"
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            load_module(broken)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import nowhere\ndef make_model(): pass", "importing the module failed: ModuleNotFoundError: No module named 'nowhere'"),
        ("def make_model():\n    return 1 / 0", "make_model() failed: ZeroDivisionError: division by zero"),
        ("x = 1", "the module defines no function make_model()"),
        (
            "from sklearn.linear_model import Ridge\ndef make_model(): return Ridge",
            "make_model() gave the class Ridge itself; expected a new",
        ),
        ("def make_model(): return 3", "make_model() gave an object of type int; expected a new"),
        ("import sys\ndef make_model(): sys.exit('bye')", "make_model() failed: SystemExit: bye"),
        ("class A:\n    def fit(self, X, y): self.classes_ = ['a', 'b']\ndef make_model(): return A()", "expected class codes"),
    ],
)
def test_what_fails_before_predicting(code: str, told: str) -> None:
    X, y = wine()
    with pytest.raises(ToolFailed) as caught:
        fit_code(code, X, y, 3)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            "return np.ones((len(X), 2)) / 2",
            r"predict_proba gave an array of shape \(178, 2\); expected \(178, 3\), a column for each class",
        ),
        ("return np.ones((3, 3)) / 3", r"shape \(3, 3\)"),
        ("return [['a'] * 3] * len(X)", "predicting failed: ValueError: could not convert string to float"),
        ("raise KeyError('colour')", "predicting failed: KeyError: 'colour'"),
    ],
)
def test_what_fails_in_predicting(body: str, told: str) -> None:
    X, y = wine()
    model = fit_code(with_predict(body), X, y, 3)
    with pytest.raises(ToolFailed, match=told):
        model.predict(X)


def test_a_classifier_without_probabilities_is_told_what_helps() -> None:
    X, y = wine()
    model = fit_code("from sklearn.svm import LinearSVC\ndef make_model(): return LinearSVC(max_iter=10_000, tol=1.0)", X, y, 3)
    with pytest.raises(ToolFailed, match=r"gives a LinearSVC, which has no predict_proba.*CalibratedClassifierCV"):
        model.predict(X)


def test_the_traceback_begins_in_its_own_lines_and_shows_them() -> None:
    code = "from sklearn.linear_model import LogisticRegression\n\ndef make_model():\n    return LogisticRegression(C='large')\n"
    inner = "class Own:\n    def fit(self, X, y):\n        X['colour'].str.lower()  # the line\n\ndef make_model():\n    return Own()\n"
    X, y = wine()
    with pytest.raises(ToolFailed) as caught:
        fit_code(inner, X, y, 3)
    text = str(caught.value)
    assert text.startswith("fitting failed: KeyError: 'colour'\nTraceback")
    assert "X['colour'].str.lower()  # the line" in text
    assert "tools/modelcode" not in text
    with pytest.raises(ToolFailed, match=r"fitting failed: .*'C' parameter of LogisticRegression") as caught:
        fit_code(code, X, y, 3)
    assert len(str(caught.value)) < 6000


def test_a_model_that_cannot_be_saved_says_so() -> None:
    code = with_predict("return np.ones((len(X), 3)) / 3").replace("self.classes_ =", "self.f = lambda: 0; self.classes_ =")
    X, y = wine()
    with pytest.raises(ToolFailed, match=r"the fitted model cannot be saved: .*lambda"):
        pickle.dumps(fit_code(code, X, y, 3))


def test_a_deadline_passes_through() -> None:
    code = "from tools.deadline import DeadlineReached\ndef make_model(): raise DeadlineReached('the time is over')"
    X, y = wine()
    with pytest.raises(DeadlineReached):
        fit_code(code, X, y, 3)
