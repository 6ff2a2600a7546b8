"""`mlteam register`: a run's package into the registry, and whether it becomes champion: by a paired test, or by a person's word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reports.comparison import Pair
from team.comparison import compare
from team.errors import MlteamError, UsageError
from team.ledger import Ledger
from team.rundir import RunDir
from tools.contract import Contract
from tools.package.manifest import PackageDamaged
from tools.registry import CHALLENGER, CHAMPION, PLACE_TAG, RUN_TAG, Registry, RegistryRefused, Version, embedded_registry
from tools.releasing import Registered
from tools.trackers.contract import BY_COMMAND
from tools.trackers.mlflow_server import check_address, patient

STORE = "registry.db"
"""The embedded registry of a folder of runs; the models lie beside it."""
MOST_NAME = 100


def register(
    run: RunDir, *, registry: str | None = None, name: str | None = None, word: str | None = None, place: Path | None = None
) -> Registered:
    """Register a run's package, and promote it where it beats the champion or a person says so. What a killed call began is finished.

    Args:
        registry: address of an MLflow server; None for the embedded one of the folder that the run lies in.
        name: of the model; None takes the target's.
        word: a person's reason for making it champion whatever the test says.
        place: folder in which the champion's run is looked for where it lies elsewhere now.

    Raises:
        UsageError: the run has no package, or the address or the name is none.
        MlteamError: the package is damaged, or the registry does not work.
    """
    contract = run.read_contract()
    if contract is None or not (run.model / "package.json").is_file():
        raise UsageError(f"run {run.name!r} has no packaged model. `mlteam show {run.path}` says how far it came.")
    called = name or _name_of(contract.target or contract.task)
    if not re.fullmatch(rf"[^/:\x00-\x1f]{{1,{MOST_NAME}}}", called):
        raise UsageError(f"--name {called!r}: expected up to {MOST_NAME} characters without / and :.")
    home = run.path.parent
    registry = _address(registry) if registry else None
    try:
        with patient(BY_COMMAND), _opened(registry, home) as store:
            version = store.register(called, run.model, contract, _tags(run, contract))
            before = store.by_alias(called, CHAMPION)
            if before and before.version == version.version:
                store.no_challenger(version)
                return _told(version, CHAMPION, version.why or "it is champion already", version.before, store.uri)
            won, why = (True, f"by a person's word: {word}") if word else _against(run, before, place or home)
            if won:
                store.promote(version, why, before)
            else:
                store.challenge(version)
            return _told(version, CHAMPION if won else CHALLENGER, why, before.version if before else None, store.uri)
    except PackageDamaged as error:
        raise MlteamError(f"the package of run {run.name!r} is not registered: {error}.") from None
    except RegistryRefused as error:
        raise MlteamError(f"{error}. Type the command again when that is mended.") from None


@contextmanager
def _opened(server: str | None, home: Path) -> Iterator[Registry]:
    if server is not None:
        yield Registry(server)
        return
    with embedded_registry(home / STORE, home / "registry") as embedded:
        yield embedded


def _told(version: Version, alias: str, why: str, before: str | None, uri: str) -> Registered:
    return Registered(name=version.name, version=version.version, alias=alias, why=why, champion=before, registry=uri)


def _against(run: RunDir, champion: Version | None, folder: Path) -> tuple[bool, str]:
    """Whether the run beats the champion on the same sealed rows, and the test that says so."""
    if champion is None:
        return True, "there was no champion to beat"
    other = next(
        (RunDir(path) for path in (Path(champion.place), folder / champion.run) if champion.run and (path / "events.jsonl").is_file()), None
    )
    if other is None:
        return False, f"the champion's run {champion.run!r} is not here to be tested against"
    if other.path.resolve() == run.path.resolve():
        return False, "the champion is another package of the same run, with the same final score"
    compared = compare([other, run])
    if not compared.comparable:
        return False, f"it cannot be tested against the champion: {'. '.join(compared.why)}"
    return _verdict(compared.pairs[0], compared.runs[1].label)


def _verdict(pair: Pair, mine: str) -> tuple[bool, str]:
    """A win counts over holdout rows alone: the folds have chosen each run's candidate."""
    decisive = next((test for test in pair.tests if test.test == pair.decisive), None)
    if decisive is None or decisive.over == "folds":
        return False, f"no paired test over the holdout rows: {'; '.join(pair.untested) or pair.verdict}"
    return pair.better == mine, pair.verdict


def _tags(run: RunDir, contract: Contract) -> dict[str, str]:
    tags = {RUN_TAG: run.name, PLACE_TAG: str(run.path), "task": contract.task, "metric": contract.metric}
    if (final := Ledger(run.vault / "ledger.jsonl").final) is not None:
        tags |= {"candidate": final.candidate, **{f"holdout_{name}": str(getattr(final, name)) for name in ("score", "low", "high", "n")}}
    return tags


def _name_of(target: str) -> str:
    return re.sub(r"[/:\s]+", "-", target).strip("-")[:MOST_NAME] or "model"


def _address(server: str) -> str:
    try:
        return check_address(server)
    except ValueError as error:
        raise UsageError(f"--registry: {error}.") from None
