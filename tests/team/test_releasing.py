"""Runs that release themselves: into the user's repository and a registry, by the approval policy, whatever refuses."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from team.approval import Approval, ApprovalDecision, ApprovalRequest, Approve
from team.approvals import Approvals
from team.budget import Limits, Meter
from team.cells import CellJournal
from team.checkpoint import read_checkpoint
from team.errors import PrerequisiteMissing, UsageError
from team.events import ApprovalDecided, ToolReturned
from team.evidence import Evidence
from team.host import Host
from team.journal import Journal
from team.log import EventLog, read_events
from team.outcome import Outcome
from team.parsing import read_here
from team.preflight import preflight
from team.roles import roles
from team.run import start
from team.rundir import RunDir
from team.settings import load_settings, read_settings
from team.stages import Stage
from team.toolroom import Toolroom
from team.vault import Vault
from tests.faulty_server import refusing
from tests.forge import ForgeServer, forge_server
from tests.striking_git import striking_git
from tests.team.commands import LONGEST_S, command, running
from tests.tools.git.test_release import refs, run_git
from tools.registry import Registry

pytestmark = pytest.mark.slow
PENGUINS = Path(__file__).parents[2] / "evals" / "data" / "penguins.csv"


class Lab(NamedTuple):
    """A user's repository, which pushes to a remote beside it and believes that to be on GitHub."""

    repo: Path
    remote: Path
    forge: ForgeServer


def lab(folder: Path, forge: ForgeServer) -> Lab:
    made = Lab(folder / "lab", folder / "remote.git", forge)
    made.repo.mkdir(parents=True)
    run_git(folder, "init", "--bare", "--quiet", str(made.remote))
    run_git(made.repo, "init", "--quiet")
    (made.repo / "README").write_text("a lab\n")
    run_git(made.repo, "add", "README")
    run_git(made.repo, "commit", "--quiet", "-m", "Begin")
    run_git(made.repo, "remote", "add", "origin", "https://github.com/ann/lab.git")
    run_git(made.repo, "config", f"url.{made.remote}.pushInsteadOf", "https://github.com/ann/lab.git")
    return made


class Person:
    """Allows what it is told to, and remembers what it was asked."""

    def __init__(self, *allowed: str) -> None:
        self.allowed, self.asked = allowed, dict[str, str]()

    async def __call__(self, request: ApprovalRequest) -> ApprovalDecision:
        self.asked[request.tool] = request.what
        return ApprovalDecision(allowed=request.tool in self.allowed, by="test", reason="" if request.tool in self.allowed else "not today")


@pytest.fixture(scope="module")
def forge() -> Iterator[ForgeServer]:
    with forge_server() as made, pytest.MonkeyPatch.context() as environment:
        environment.setenv("GITHUB_TOKEN", "may-write")
        environment.setenv("GITHUB_API_URL", made.address)
        yield made


class Told(NamedTuple):
    """A run that has ended, whom it asked, and the lab that it was released to."""

    run: RunDir
    summary: dict[str, Any]
    person: Person
    lab: Lab


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, forge: ForgeServer) -> Told:
    """A whole run of the playbook that is asked to do all of it, and allowed to publish alone."""
    made, person = lab(tmp_path_factory.mktemp("labs"), forge), Person("publish_run")
    settings = load_settings(
        {
            "source": str(PENGUINS),
            "target": "Sex",
            "out": tmp_path_factory.mktemp("runs"),
            "time": "120s",
            "trials": 0,
            "folds": 2,
            "families": "linear",
            "sandbox": {"kind": "unsafe-local", "cpus": 1},
            "release": {"repo": str(made.repo), "tag": "next", "push": "origin", "pull_request": True, "registry": "local", "name": "sex"},
        }
    )
    summary = start(settings, approve=person)
    return Told(RunDir(Path(summary["run"])), summary, person, made)


def test_a_run_publishes_itself_when_a_person_allows_it(told: Told) -> None:
    run, summary, person, made = told
    assert summary["status"] == "done"
    branch = f"exp/{run.name}"
    assert person.asked["publish_run"] == (
        f"commit the run to {made.repo} on branch {branch} and tag it with the next version,"
        " push that to origin and open a pull request there"
    )
    assert refs(made.remote) == [f"refs/heads/{branch}", "refs/tags/v0.1.0"]
    assert [one["head"] for one in made.forge.opened] == [branch]
    said = [run_git(made.repo, "show", "-s", "--format=%B", commit) for commit in run_git(made.repo, "rev-list", "-3", branch).split()]
    score = f"Score: roc_auc {summary['holdout']['score']:.4f}"
    assert all(f"Run: {run.name}" in one and score in one for one in said)
    assert "## Intended use" in run_git(made.repo, "show", f"{branch}:experiments/{run.name}/reports/model_card.md")


def test_what_a_person_refuses_is_left_and_the_run_ends_well_and_says_what_to_type(told: Told) -> None:
    run, summary, person, _ = told
    assert person.asked["register_model"].startswith("put the model as 'sex' into the registry of the folder of runs")
    (told_of,) = summary["degradations"]
    assert told_of.startswith("the run was not registered: register_model is not allowed to put the model as 'sex' into the registry")
    assert "not today. To allow it in another run, allow it beforehand with --approve register_model" in told_of
    assert told_of.endswith(f"Type: mlteam register {run.path} --name sex")
    assert not (run.path.parent / "registry.db").exists()
    events = list(read_events(run.events))
    decided = {event.tool: (event.allowed, event.by) for event in events if isinstance(event, ApprovalDecided)}
    assert decided == {"register_model": (False, "test"), "publish_run": (True, "test")}
    ended = {event.tool: event.status for event in events if isinstance(event, ToolReturned)}
    assert (ended["track_run"], ended["register_model"], ended["publish_run"]) == ("ok", "refused", "ok")


def released_again(told: Told, folder: Path, approve: Approve | None = None, **release: Any) -> tuple[RunDir, list[Outcome]]:
    """What the tools of another wish bring at the end of a copy of the run."""
    run = RunDir(Path(shutil.copytree(told.run.path, folder / told.run.name)))
    settings = read_settings(run.settings, {"release": release})
    vault, log = Vault(run), EventLog(run.events)
    state = read_checkpoint(run.checkpoint).state.model_copy(update={"stage": Stage.RELEASE, "packaged": True})

    async def nothing(*_: object) -> Any:
        raise AssertionError("a run that is released needs neither kernel nor quarantine")

    room = Toolroom(
        host=Host(run, settings, vault, lambda: room.state, nothing, lambda: read_here(run.vault)),
        evidence=Evidence(run, vault, log.append),
        meter=Meter(Limits(1.0)),
        cells=CellJournal(run.cells),
        record=Journal(log, run.replies),
        kernel=nothing,
        state=state,
        approvals=Approvals(Approval(), approve, log.append),
    )

    async def calls() -> list[Outcome]:
        return [await room.call(roles()["release_manager"], tool, {}) for tool in ("register_model", "publish_run")]

    try:
        return run, asyncio.run(calls())
    finally:
        log.close()


STRUCK = "import sys; from tests.striking_store import strike; strike(sys.argv.pop(1)); from team.cli import main; main()"


def test_a_run_that_is_killed_while_it_registers_and_publishes_finishes_both_once(tmp_path: Path, forge: ForgeServer) -> None:
    made, out, opened = lab(tmp_path, forge), tmp_path / "runs", len(forge.opened)
    asked = ["--repo", str(made.repo), "--tag", "next", "--push", "origin", "--pull-request", "--approve", "publish_run"]
    asked += ["--registry", "local", "--approve", "register_model"]
    search = ["--target", "Sex", "--time", "120s", "--trials", "0", "--folds", "2", "--families", "linear", "--sandbox", "unsafe-local"]
    words = command("run", str(PENGUINS), *search, *asked, "--out", str(out))
    for moment in ("INSERT INTO model_versions ", "INSERT INTO registered_model_aliases"):
        with running([sys.executable, "-c", STRUCK, moment, *words[words.index("team.cli") + 1 :]]) as process:
            _, err = process.communicate(timeout=LONGEST_S)
            assert process.returncode == -signal.SIGKILL, err
        (run,) = out.glob("*-*/")
        words = command("resume", str(run))
    for moment in ("update-ref", "push", "the request"):
        strikes = striking_git(tmp_path / moment, "after", moment)  # git knows no command of the last name
        with running(words, PATH=f"{strikes}{os.pathsep}{os.environ['PATH']}") as process:
            forge.strike = process.kill if moment == "the request" else None
            _, err = process.communicate(timeout=LONGEST_S)
            assert process.returncode == -signal.SIGKILL, err
    forge.strike = None
    with running(command("resume", str(run), "--json")) as process:
        summary = json.loads(process.communicate(timeout=LONGEST_S)[0])
    branch = f"exp/{run.name}"
    assert (summary["status"], summary["degradations"]) == ("done", [])
    assert refs(made.repo) == [f"refs/heads/{branch}", "refs/heads/main", "refs/tags/v0.1.0"]
    assert refs(made.remote) == [f"refs/heads/{branch}", "refs/tags/v0.1.0"]
    assert [one["head"] for one in forge.opened[opened:]] == [branch]
    returned = [event for event in read_events(run / "events.jsonl") if isinstance(event, ToolReturned)]
    (published,) = (event for event in returned if event.tool == "publish_run")
    assert (published.status, published.result["pull_request"]) == ("ok", f"http://forge/pull/{opened + 1}")
    (registered,) = (event for event in returned if event.tool == "register_model")
    assert (registered.status, registered.result["alias"], registered.result["why"]) == ("ok", "champion", "there was no champion to beat")
    store = Registry(f"sqlite:///{out / 'registry.db'}")
    assert [(version.version, version.run) for version in store.versions("Sex")] == [("1", run.name)]
    assert store.by_alias("Sex", "champion") == store.versions("Sex")[0]


def test_where_nobody_can_be_asked_nothing_leaves_the_run(told: Told, tmp_path: Path) -> None:
    made = lab(tmp_path, told.lab.forge)
    run, outcomes = released_again(told, tmp_path / "runs", repo=str(made.repo), registry="local")
    for tool, outcome in zip(("register_model", "publish_run"), outcomes, strict=True):
        assert (outcome.status, f"nobody could be asked; allow it beforehand with --approve {tool}" in outcome.text) == ("refused", True)
    assert refs(made.repo) == ["refs/heads/main"]
    assert not (run.path.parent / "registry.db").exists()


def test_a_dirty_repository_and_a_refused_push_leave_nothing(told: Told, tmp_path: Path) -> None:
    made, person = lab(tmp_path, told.lab.forge), Person("publish_run", "register_model")
    (made.repo / "README").write_text("changed\n")
    _, (_, outcome) = released_again(told, tmp_path / "dirty", person, repo=str(made.repo), tag="v1.0.0")
    assert (outcome.status, "changes that are not committed: README. Commit them or put them away" in outcome.text) == ("error", True)
    run_git(made.repo, "checkout", "--quiet", "README")
    made.remote.rename(tmp_path / "moved.git")
    _, (_, outcome) = released_again(told, tmp_path / "refused", person, repo=str(made.repo), tag="v1.0.0", push="origin")
    assert (outcome.status, "origin did not take the branch" in outcome.text, "nothing is released" in outcome.text) == (
        "error",
        True,
        True,
    )
    assert refs(made.repo) == ["refs/heads/main"]


def test_a_registry_takes_the_model_and_a_repository_in_the_run_directory_needs_no_word(told: Told, tmp_path: Path) -> None:
    run, (registered, published) = released_again(told, tmp_path, Person("register_model"), repo="own", registry="local", name="sex")
    assert (registered.status, published.status) == ("ok", "ok"), (registered.text, published.text)
    log = subprocess.run(["git", "log", "--format=%s", f"exp/{run.name}"], cwd=run.path / "git", capture_output=True, text=True, timeout=60)
    assert len(log.stdout.splitlines()) == 3
    champion = Registry(f"sqlite:///{tmp_path / 'registry.db'}").by_alias("sex", "champion")
    assert champion is not None
    assert champion.run == run.name


def test_a_server_that_is_down_is_told_in_seconds(told: Told, tmp_path: Path) -> None:
    server = refusing()
    _, (registered, _) = released_again(told, tmp_path, Person("register_model"), registry=server)
    assert registered.status == "error"
    assert f"the registry at {server} does not work" in registered.text


def test_tools_that_nobody_configured_do_nothing_and_are_not_offered(told: Told, tmp_path: Path) -> None:
    _, outcomes = released_again(told, tmp_path)
    assert [outcome.status for outcome in outcomes] == ["refused", "refused"]
    assert "the user named no registry" in outcomes[0].text
    assert "the user named no repository" in outcomes[1].text


def test_what_cannot_work_is_told_before_the_run_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(**release: Any) -> None:
        preflight(load_settings({"source": "sklearn:iris", "sandbox": "unsafe-local", "release": release}))

    with pytest.raises(UsageError, match=r"--repo '.*' is no Git repository\. Type: git init"):
        check(repo=str(tmp_path))
    with pytest.raises(UsageError, match=r"is no folder\. Name your repository, or make one: git init"):
        check(repo=str(tmp_path / "nowhere"))
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(PrerequisiteMissing, match="GITHUB_TOKEN and GH_TOKEN are not set"):
        check(repo="own", push="https://github.com/ann/lab.git", pull_request=True)
    for wrong, told in (
        ({"push": "origin"}, "release: push without repo"),
        ({"repo": "own", "pull_request": True}, "release: pull_request without push"),
        ({"repo": "own", "tag": "1.2"}, r"release\.tag: expected a semantic version such as v1\.2\.0, or next"),
        ({"registry": "sqlite:///x"}, r"release\.registry: .*expected http"),
    ):
        with pytest.raises(UsageError, match=told):
            check(**wrong)
    with pytest.raises(UsageError) as refused:
        check(repo="own", push="https://ann:hunter22@host/x")
    assert "hunter22" not in str(refused.value)
