"""A release whose process is killed between any two steps, and the call after it: each step is found done or done, none of them twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forge import ForgeServer, forge_server
from tests.striking_git import striking_git
from tests.tools.git.test_release import BRANCH, PLAN, forge, refs, repository, run_git
from tools.git.release import NotPublished, Plan, publish
from tools.git.repository import Repository

__all__ = ["repository"]  # a fixture
MOMENTS = [
    ("before", "commit-tree"),
    ("after", "mktag"),
    ("before", "update-ref"),
    ("after", "update-ref"),
    ("before", "push"),
    ("after", "push"),
]
PUBLISHES = """
import sys
from pathlib import Path
from tests.tools.git.test_release import PLAN
from tools.git.forge import forge_of
from tools.git.release import publish
from tools.git.repository import Repository
lab, kind, record = sys.argv[1:]
publish(Repository(Path(lab)), PLAN, tag="next", remote="origin", forge=forge_of(f"git@{kind}.com:ann/lab.git"), record=Path(record))
"""


@pytest.fixture
def server() -> Iterator[ForgeServer]:
    with forge_server() as made:
        yield made


def killed(server: ForgeServer, lab: Path, kind: str, record: Path, path: str = "") -> subprocess.Popen[bytes]:
    """A process that publishes, and does not get to its end."""
    env = {
        **os.environ,
        "PATH": f"{path}{os.pathsep}{os.environ['PATH']}" if path else os.environ["PATH"],
        **dict.fromkeys(("GITHUB_TOKEN", "GITLAB_TOKEN"), "may-write"),
        **dict.fromkeys(("GITHUB_API_URL", "GITLAB_API_URL"), server.address),
    }
    process = subprocess.Popen([sys.executable, "-c", PUBLISHES, str(lab), kind, str(record)], env=env, stderr=subprocess.PIPE)
    server.strike = process.kill
    _, err = process.communicate(timeout=120)
    server.strike = None
    assert process.returncode == -signal.SIGKILL, err.decode()
    return process


def finished(repository: Repository, server: ForgeServer, remote: Path, kind: str, record: Path) -> None:
    """Publish once more, and hold what there is then against what one undisturbed call makes."""
    done = publish(repository, PLAN, tag="next", remote="origin", forge=forge(server, kind), record=record)
    assert done.tag == "v0.1.0"
    assert refs(repository.path) == refs(remote) == [f"refs/heads/{BRANCH}", "refs/heads/main", "refs/tags/v0.1.0"]
    assert run_git(repository.path, "log", "--format=%s", BRANCH).count(PLAN.run) == 3
    assert run_git(remote, "rev-parse", BRANCH, "v0.1.0^{commit}").split() == [done.commits[-1]] * 2
    assert len(server.opened) == 1
    assert str(done.pull_request).endswith("/1")
    assert publish(repository, PLAN, tag="next", remote="origin", forge=forge(server, kind), record=record) == done
    assert len(server.opened) == 1


@pytest.mark.parametrize(("when", "command"), MOMENTS)
def test_whoever_is_killed_at_a_step_of_git_finishes_it_the_next_time(
    repository: Repository, server: ForgeServer, tmp_path: Path, when: str, command: str
) -> None:
    record = tmp_path / "publication.json"
    killed(server, repository.path, "github", record, str(striking_git(tmp_path / "bin", when, command)))
    assert server.opened == []
    finished(repository, server, tmp_path / "remote.git", "github", record)


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_a_request_that_was_opened_and_never_answered_is_found_again(
    repository: Repository, server: ForgeServer, tmp_path: Path, kind: str
) -> None:
    record = tmp_path / "publication.json"
    killed(server, repository.path, kind, record)
    assert len(server.opened) == 1
    finished(repository, server, tmp_path / "remote.git", kind, record)


def test_what_cannot_be_finished_is_taken_back_and_can_be_begun_anew(repository: Repository, server: ForgeServer, tmp_path: Path) -> None:
    record, remote = tmp_path / "publication.json", tmp_path / "remote.git"
    killed(server, repository.path, "github", record, str(striking_git(tmp_path / "bin", "after", "push")))
    server.refuse = 422
    with pytest.raises(NotPublished, match="nothing is released"):
        publish(repository, PLAN, tag="next", remote="origin", forge=forge(server, "github"), record=record)
    assert refs(repository.path) == refs(remote) == ["refs/heads/main"]
    assert not record.exists()
    server.refuse = None
    finished(repository, server, remote, "github", record)


def test_a_record_of_other_commits_is_not_believed(repository: Repository, tmp_path: Path) -> None:
    """A run directory may come from anybody: its record must not have another branch pushed."""
    record = tmp_path / "publication.json"
    publish(repository, PLAN, record=record)
    run_git(repository.path, "branch", "-D", BRANCH)
    secret, known = run_git(repository.path, "rev-parse", "main"), json.loads(record.read_text())
    record.write_text(json.dumps({**known, "done": None}).replace(known["commits"][-1], secret))
    assert secret not in publish(repository, PLAN, record=record).commits
    assert run_git(repository.path, "log", "-1", "--format=%s", BRANCH).startswith("Evaluate linear-1")


def test_another_wish_than_the_one_on_record_is_told_that_the_branch_is_there(repository: Repository, tmp_path: Path) -> None:
    record = tmp_path / "publication.json"
    publish(repository, PLAN, record=record)
    with pytest.raises(NotPublished, match="is there already"):
        publish(repository, PLAN, remote="origin", record=record)
    with pytest.raises(NotPublished, match="is there already"):
        publish(repository, Plan(PLAN.run, ("Score: another",), PLAN.parts), record=record)
