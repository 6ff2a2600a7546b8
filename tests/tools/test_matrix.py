"""A few rows and many rows get the same predictions, though trees are asked for them in another way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble, tree

from tools.columns import coerce, infer_schema
from tools.families.matrix import FEW, MatrixModel, trees_of
from tools.features import TableEncoder


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("kind", ["RandomForest", "ExtraTrees", "DecisionTree"])
def test_few_rows_are_predicted_as_many_are(kind: str, classes: int) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=200), "b": rng.normal(size=200), "c": rng.choice(["x", "y", "z"], 200)})
    frame.loc[::9, "a"] = None
    y: Any = rng.integers(0, classes, 200) if classes else rng.normal(size=200)
    schema = infer_schema(frame, None)
    rows = coerce(frame, schema)
    encoder = TableEncoder(schema.columns, "target", n_classes=classes)
    matrix = encoder.fit_transform(rows, y)
    made: Any = getattr(tree if kind == "DecisionTree" else ensemble, f"{kind}{'Classifier' if classes else 'Regressor'}")
    options = {} if kind == "DecisionTree" else {"n_estimators": 30, "n_jobs": 1}
    model = MatrixModel(encoder, made(random_state=0, max_depth=5, **options).fit(matrix, y), classes)
    assert trees_of(model.estimator) is not None
    together = model.predict(rows)
    assert len(rows) > FEW
    assert np.array_equal(np.concatenate([model.predict(rows.iloc[[place]]) for place in range(30)]), together[:30])
    assert np.array_equal(model.predict(rows.head(FEW)), together[:FEW])


def test_estimators_that_weigh_their_trees_are_left_to_themselves() -> None:
    assert trees_of(ensemble.AdaBoostRegressor()) is None
    assert trees_of(ensemble.GradientBoostingClassifier()) is None
