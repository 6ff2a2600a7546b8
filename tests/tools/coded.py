"""Candidates written as code, for tests: the shortest ones that do what is looked at."""

from __future__ import annotations

import numpy as np

from tools.candidates import CODE_FILE, Candidate, write_candidate
from tools.problem import load_problem
from tools.submission import code_candidate
from tools.workspace import Workspace

CLASSES = """
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


class Scaled(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.inner_ = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
        self.classes_ = self.inner_.classes_
        return self

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)


def make_model():
    return Scaled()
"""
"""A classifier of its own class, which a pickle by itself could not bring back."""

VALUES = """
from sklearn.linear_model import Ridge


def make_model():
    return Ridge()
"""


def write_code_candidate(space: Workspace, name: str, code: str, knows: float = 0.0) -> Candidate:
    """A code candidate as the host leaves it, whose out-of-fold predictions are the class shares, or the mean.

    Args:
        knows: how far every second row leans to its own class.
    """
    problem = load_problem(space)
    oof = np.full_like(problem.empty_predictions(problem.n_rows), problem.y.mean())
    if problem.n_classes:
        oof[:] = np.bincount(problem.y, minlength=problem.n_classes) / problem.n_rows
        oof[::2] = (1 - knows) * oof[::2] + knows * np.eye(problem.n_classes)[problem.y[::2]]
    made = code_candidate(name, code, problem.contract, problem.score(oof), problem.fold_scores(oof), len(problem.fold_ids), 0.1, 0.0, [])
    write_candidate(space, made, problem, oof)
    (space.candidates / name / CODE_FILE).write_bytes(code.encode())
    return made
