"""A run into a Git repository: which of its files make which commit. What was learnt is committed, data by their hashes alone."""

from __future__ import annotations

import hashlib
from pathlib import Path

from team.errors import MlteamError, PrerequisiteMissing, UsageError
from team.ledger import Ledger
from team.rundir import RunDir
from tools.files import list_names, read_regular
from tools.git.begun import Published
from tools.git.dvc import DvcFailed, pointers
from tools.git.forge import ForgeRefused, forge_of
from tools.git.release import NotPublished, Part, Plan, publish
from tools.git.repository import GitFailed, Repository
from tools.git.scan import MOST_BYTES
from tools.package.manifest import PACKAGE
from tools.release_wish import OWN as OWN_REPO
from tools.release_wish import Release

OWN = "git"
"""The folder of the run directory that gets a repository where none is named."""
PREPARATION = ("contract.json", "manifest.json", "data/schema.json")
TRAINING = ("settings.yaml", "leaderboard.json", "model/model.json")
EVALUATION = ("reports/model_card.md", "reports/summary.md")
OF_PACKAGE = (PACKAGE, "inputs.json", "drift.json", "formats.json", "intervals.json", "curves.json", "requirements.lock", "predict.py")
"""The pipeline itself is named there by its hash."""
MOST_PREPARATIONS = 50
NO_GIT = "the program git is not installed. Type: apt-get install git"


def plan_of(run: RunDir, repo: Path | None = None) -> Plan:
    """The three commits of a run.

    Args:
        repo: the user's repository that gets them, whose DVC cache takes the data where it has one.

    Raises:
        UsageError: when it has no final score or no package.
        MlteamError: when a file cannot be read, or DVC is installed and does not work.
    """
    contract, final = run.read_contract(), Ledger(run.vault / "ledger.jsonl").final
    if contract is None or final is None or not (run.model / PACKAGE).is_file():
        raise UsageError(
            f"run {run.name!r} is not released: it lacks a final score or a package. `mlteam show {run.path}` says how far it is."
        )
    score = f"{contract.metric} {final.score:.4f} ({final.low:.4f} to {final.high:.4f}) on {final.n} sealed rows"
    prepared = list(PREPARATION) + [f"work/preparations/{name}" for name in _preparations(run)]
    what = contract.target or contract.task
    return Plan(
        run=run.name,
        facts=(f"Score: {score}", f"Model: {final.candidate}"),
        parts=(
            Part(f"Prepare data for {what}", {**_files(run, prepared), **_data(run, repo)}),
            Part(f"Train models of {what}", _files(run, TRAINING)),
            Part(f"Evaluate {final.candidate} on sealed rows", _files(run, [*EVALUATION, *(f"model/{name}" for name in OF_PACKAGE)])),
        ),
    )


def publish_run(
    run: RunDir, *, repo: Path | None, tag: str | None, remote: str | None, pull_request: bool, forge: str | None = None
) -> Published:
    """Commit a run on its own branch, and tag, push and propose it where that is asked for. What a killed call began is finished.

    Args:
        repo: the user's repository; None makes a fresh one in the run directory.
        forge: `github` or `gitlab`, where the remote's address does not tell.

    Raises:
        UsageError: the run is not released, or the repository is none, dirty, or has this branch or tag.
        PrerequisiteMissing: there is no git, or no token.
        MlteamError: the remote or the forge refused; nothing is released then.
    """
    if pull_request and remote is None:
        raise UsageError("--pull-request needs --push REMOTE: a pull request is of a branch that the remote has.")
    plan = plan_of(run, repo.absolute() if repo else None)
    try:
        repository = Repository(repo.absolute()) if repo else Repository.make(run.path / OWN)
        asked = forge_of(repository.address(str(remote)) or str(remote), forge) if pull_request else None
        return publish(repository, plan, tag=tag, remote=remote, forge=asked, record=run.publication)
    except ForgeRefused as error:
        raise PrerequisiteMissing(f"{error}. Nothing was committed or pushed.") from None
    except GitFailed as error:
        if error.missing:
            raise PrerequisiteMissing(NO_GIT) from None
        raise MlteamError(f"git does not work in {repo or run.path / OWN}: {error}.") from None
    except NotPublished as error:
        raise MlteamError(f"{error}.") from None


def check_release(release: Release) -> None:
    """Find out before a run begins whether it can be published as it is asked for.

    Raises:
        UsageError: when the folder is no repository.
        PrerequisiteMissing: when there is no git, or no token for a pull request.
    """
    if release.repo is None:
        return
    if release.repo != OWN_REPO and not Path(release.repo).is_dir():
        raise UsageError(f"--repo {release.repo!r} is no folder. Name your repository, or make one: git init {release.repo}")
    repository = Repository(Path.cwd() if release.repo == OWN_REPO else Path(release.repo))
    try:
        repository.git("--version")
        if release.repo != OWN_REPO and not repository.is_one:
            raise UsageError(f"--repo {release.repo!r} is no Git repository. Type: git init {release.repo}")
        if release.pull_request:
            forge_of(repository.address(str(release.push)) or str(release.push), release.forge)
    except GitFailed as error:
        if error.missing:
            raise PrerequisiteMissing(NO_GIT) from None
        raise UsageError(f"--repo {release.repo!r}: {error}.") from None
    except ForgeRefused as error:
        raise PrerequisiteMissing(f"{error}.") from None


def _root(run: RunDir) -> str:
    return f"experiments/{run.name}"


def _files(run: RunDir, names: list[str] | tuple[str, ...]) -> dict[str, bytes]:
    """Those of the files that are there, none of them through a link."""
    found = {}
    for name in names:
        try:
            found[f"{_root(run)}/{name.removeprefix('work/')}"] = read_regular(run.path / name, MOST_BYTES, inside=run.path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise MlteamError(f"{name} of run {run.name!r} cannot be committed: {error}.") from None
    return found


def _preparations(run: RunDir) -> list[str]:
    try:
        return [name for name in list_names(run.work / "preparations", run.path, MOST_PREPARATIONS) if name.endswith(".json")]
    except OSError:
        return []


def _data(run: RunDir, repo: Path | None) -> dict[str, bytes]:
    """What names the tables that the run learnt from and was scored on: their hashes, and what DVC knows them by where it is installed."""
    tables = sorted(path for path in run.data.glob("*.parquet") if not path.is_symlink())
    try:
        known = pointers(tables, repo)
    except DvcFailed as error:
        raise MlteamError(f"{error}. Mend it, or take dvc off the PATH: data are named by their SHA-256 all the same.") from None
    named = {f"{_root(run)}/data/{name}": content for name, content in known.items()}
    return {f"{_root(run)}/data.sha256": _hashes(tables), **named}


def _hashes(tables: list[Path]) -> bytes:
    """The tables by SHA-256, as `sha256sum -c` reads them in the run directory."""
    lines = []
    for path in tables:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        lines.append(f"{digest.hexdigest()}  data/{path.name}\n")
    return "".join(lines).encode()
