"""Optuna studies of a workspace, in one SQLite file: opened so that a search goes on where a kill or a fork left it.

A study outlives the call that adds trials to it. What a call began with stands in the study until the call ends, so that the
next process knows which trials were its own.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tools.workspace import Workspace

if TYPE_CHECKING:
    import optuna

PARENT_STUDIES, FORKED = "studies-of-parent.db", "forked.json"
"""In the work folder of a fork: the parent's studies, and when it was forked."""

_CALL, _ORPHANS = "mlteam call", "mlteam orphans"
"""Attributes of a study: the call that adds trials to it, and the numbers of trials that nobody finished."""


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna speaks through show(progress) alone."""

    with warnings.catch_warnings():
        # tqdm, which Optuna loads, misses a widget library that nothing here shows.
        warnings.filterwarnings("ignore", message="IProgress not found")
        import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        # The multivariate sampler is marked experimental.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)


def open_study(space: Workspace, name: str, directions: list[str]) -> optuna.Study:
    """The study called `name`, made when there is none. Trials that a killed process left come again.

    Args:
        directions: `maximize` or `minimize`, one for each value of a trial.
    """
    space.work.mkdir(parents=True, exist_ok=True)
    _adopt_studies(space)
    return open_in(f"sqlite:///{space.studies}", name, directions)


def open_in(storage: str | optuna.storages.BaseStorage, name: str, directions: list[str]) -> optuna.Study:
    """The same in a storage of Optuna's. One process at a time adds trials to a study; where their fits are done is its own affair."""
    import optuna

    study = optuna.create_study(study_name=name, storage=storage, directions=directions, load_if_exists=True)
    # A process that was killed leaves trials that nobody will finish.
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.set_user_attr(_ORPHANS, [*study.user_attrs.get(_ORPHANS, []), trial.number])
        if fixed := trial.system_attrs.get("fixed_params"):
            study.enqueue_trial(fixed)
    return study


def shared_storage(where: str) -> optuna.storages.BaseStorage:
    """Where studies lie that several machines may go on with, one after another.

    Args:
        where: `postgresql://USER:PASSWORD@HOST/DATABASE`, which takes the extra `databases`, or `journal:FILE` in a shared folder:
            Optuna's journal, which locks by links and so keeps to its promises over NFS.

    Raises:
        ValueError: it is neither.
    """
    import optuna
    from sqlalchemy.pool import NullPool

    if where.startswith("postgresql://"):
        address = "postgresql+psycopg://" + where.removeprefix("postgresql://")
        # No connection stays open between two questions: minutes may lie between them, and nobody would close it.
        return optuna.storages.RDBStorage(address, engine_kwargs={"poolclass": NullPool})
    kind, _, path = where.partition(":")
    if kind != "journal" or not path:
        raise ValueError(f"{without_password(where)!r}: expected postgresql://USER:PASSWORD@HOST/DATABASE or journal:FILE")
    return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(path))


def without_password(where: str) -> str:
    """Where studies lie, as it may be shown."""
    scheme, separator, rest = where.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if separator else where


def _adopt_studies(space: Workspace) -> None:
    """In a fork, go on with the parent's studies as they stood when it was forked: with trials that had ended by then."""
    import optuna

    parent, forked = space.work / PARENT_STUDIES, space.work / FORKED
    if not (parent.exists() and forked.exists()):
        return
    at = float(json.loads(forked.read_text(encoding="utf-8"))["at"])
    theirs = f"sqlite:///{parent}"
    space.studies.unlink(missing_ok=True)
    for name in optuna.get_all_study_names(theirs):
        study = optuna.load_study(study_name=name, storage=theirs)
        directions = [direction.name.lower() for direction in study.directions]
        mine = optuna.create_study(study_name=name, storage=f"sqlite:///{space.studies}", directions=directions)
        mine.add_trials([t for t in study.trials if t.datetime_complete is not None and t.datetime_complete.timestamp() <= at])
    parent.unlink()
    forked.unlink()


def counted(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that came to an end of their own, in their order: not those that a killed process left."""
    lost = orphans(study)
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished() and trial.number not in lost]


def orphans(study: optuna.Study) -> list[int]:
    """Numbers of the trials that killed processes left."""
    found: list[int] = study.user_attrs.get(_ORPHANS, [])
    return found


def put_in_line(study: optuna.Study, points: list[dict[str, Any]]) -> bool:
    """See to it that the next trial of a study is one that was put in line: the first of `points` that never was, unless one waits.

    Returns:
        Whether there is one; False when every point was tried.
    """
    import optuna

    from tools.grid import key

    trials = study.get_trials(deepcopy=False)
    if any(trial.state == optuna.trial.TrialState.WAITING for trial in trials):
        return True
    known = {key(trial.system_attrs["fixed_params"]) for trial in trials if "fixed_params" in trial.system_attrs}
    point = next((point for point in points if key(point) not in known), None)
    if point is not None:
        study.enqueue_trial(point)
    return point is not None


def open_call(study: optuna.Study, asked: dict[str, Any], found: dict[str, Any]) -> dict[str, Any] | None:
    """What a call that was cut off had found when it began, if it asked for the same; else begin a call and give None.

    Args:
        asked: arguments by which two calls are known to be one.
        found: what the next process needs to know of how things stood; kept with the number of trials, as `counted`.
    """
    call = study.user_attrs.get(_CALL)
    if isinstance(call, dict) and call.get("open") and {key: call.get(key) for key in asked} == asked:
        return call
    study.set_user_attr(_CALL, {**asked, "open": True, "counted": len(counted(study)), **found})
    return None


def close_call(study: optuna.Study) -> None:
    """The call has ended, and nobody goes on with it."""
    study.set_user_attr(_CALL, {**study.user_attrs.get(_CALL, {}), "open": False})
