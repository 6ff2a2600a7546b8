"""A run in Git: real repositories and remotes in folders, a forge on loopback, and nothing half-released whatever refuses."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.forge import ForgeServer, forge_server
from tools.git.forge import Forge, ForgeRefused, forge_of
from tools.git.release import NotPublished, Part, Plan, publish
from tools.git.repository import Repository, plain_address
from tools.git.scan import scan

PLAN = Plan(
    run="20260101-120000-penguins",
    facts=("Score: roc_auc 0.9812 (0.9601 to 0.9930) on 67 sealed rows",),
    parts=(
        Part("Prepare data", {"experiments/r/contract.json": b"{}"}),
        Part("Train models", {"experiments/r/leaderboard.json": b"{}"}),
        Part("Evaluate linear-1", {"experiments/r/model_card.md": b"# Card\n"}),
    ),
)
BRANCH = "exp/20260101-120000-penguins"


def run_git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A user's repository with one commit and a remote."""
    folder, remote = tmp_path / "lab", tmp_path / "remote.git"
    folder.mkdir()
    run_git(tmp_path, "init", "--bare", "--quiet", str(remote))
    run_git(folder, "init", "--quiet")
    (folder / "README").write_text("a lab\n")
    run_git(folder, "add", "README")
    run_git(folder, "commit", "--quiet", "-m", "Begin")
    run_git(folder, "remote", "add", "origin", str(remote))
    run_git(folder, "push", "--quiet", "origin", "main")
    return Repository(folder)


def refs(folder: Path) -> list[str]:
    return run_git(folder, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags").split()


def test_a_run_is_three_commits_on_its_own_branch_beside_the_users_files(repository: Repository) -> None:
    done = publish(repository, PLAN, tag="v1.2.0")
    assert run_git(repository.path, "log", "--format=%s", BRANCH).splitlines() == [
        "Evaluate linear-1 (20260101-120000-penguins)",
        "Train models (20260101-120000-penguins)",
        "Prepare data (20260101-120000-penguins)",
        "Begin",
    ]
    for commit in done.commits:
        body = run_git(repository.path, "show", "-s", "--format=%b", commit)
        assert "Run: 20260101-120000-penguins\nScore: roc_auc 0.9812" in body
    assert run_git(repository.path, "cat-file", "-t", "v1.2.0") == "tag"
    assert run_git(repository.path, "rev-parse", "v1.2.0^{commit}") == done.commits[-1]
    assert run_git(repository.path, "show", f"{BRANCH}:experiments/r/model_card.md") == "# Card"
    assert run_git(repository.path, "show", f"{BRANCH}:README") == "a lab"
    assert run_git(repository.path, "status", "--porcelain") == ""
    assert run_git(repository.path, "rev-parse", "--abbrev-ref", "HEAD") == "main"


def test_the_next_version_follows_the_greatest_release(repository: Repository) -> None:
    def published(run: str) -> str | None:
        return publish(repository, Plan(run, PLAN.facts, PLAN.parts), tag="next").tag

    assert published("first") == "v0.1.0"
    for tag in ("v1.9.3", "v1.10.0", "v2.0.0-rc.1", "nightly"):
        run_git(repository.path, "tag", tag)
    assert published("second") == "v1.11.0"


def test_a_fresh_repository_is_made_and_taken_again(tmp_path: Path) -> None:
    made = Repository.make(tmp_path / "git")
    publish(made, PLAN)
    again = Repository.make(tmp_path / "git")
    with pytest.raises(NotPublished, match=r"branch 'exp/.*' is there already"):
        publish(again, PLAN)


def test_branch_and_tag_are_pushed_both_or_none(repository: Repository, tmp_path: Path) -> None:
    publish(repository, PLAN, tag="v1.0.0", remote="origin")
    assert refs(tmp_path / "remote.git") == ["refs/heads/" + BRANCH, "refs/heads/main", "refs/tags/v1.0.0"]


@pytest.mark.parametrize("why", ["refuses", "is not there"])
def test_a_remote_that_takes_nothing_leaves_nothing(repository: Repository, tmp_path: Path, why: str) -> None:
    remote = tmp_path / "remote.git"
    if why == "refuses":
        hook = remote / "hooks" / "update"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text('#!/bin/sh\ncase "$1" in refs/tags/*) echo "tags are for the release team" >&2; exit 1;; esac\n')
        hook.chmod(0o755)
    else:
        remote.rename(tmp_path / "moved.git")
    with pytest.raises(NotPublished, match=r"origin did not take the branch: .*nothing is released"):
        publish(repository, PLAN, tag="v1.0.0", remote="origin")
    assert refs(repository.path) == ["refs/heads/main"]
    if why == "refuses":
        assert refs(remote) == ["refs/heads/main"]


def test_a_dirty_repository_is_told_and_left_as_it_is(repository: Repository) -> None:
    (repository.path / "README").write_text("changed\n")
    (repository.path / "new.txt").write_text("new\n")
    with pytest.raises(NotPublished, match=r"changes that are not committed: README, new\.txt\. Commit them or put them away"):
        publish(repository, PLAN)
    assert refs(repository.path) == ["refs/heads/main"]


@pytest.mark.parametrize("tag", ["1", "v1.2", "latest", "v01.0.0", "v1.0.0; rm", "-d"])
def test_a_tag_that_is_no_semantic_version_is_refused(repository: Repository, tag: str) -> None:
    with pytest.raises(NotPublished, match="is no semantic version"):
        publish(repository, PLAN, tag=tag)
    assert refs(repository.path) == ["refs/heads/main"]


def test_a_folder_that_is_no_repository_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotPublished, match=r"is no Git repository\. Type: git init"):
        publish(Repository(tmp_path), PLAN)


SECRET = "correct-horse-battery"
HOSTILE = {
    "a private key": "-----BEGIN RSA PRIVATE KEY-----",
    "a key of Amazon": "key AKIA" + "ABCDEFGHIJKLMNOP",
    "a token of GitHub": "ghp_" + "a1" * 18,
    "a token of GitLab": "glpat-" + "abcdefghij0123456789",
    "a key of a model provider": "sk-" + "abc123" * 5,
    "a password in an address": "postgresql://ann:" + "hunter22" + "@db/x",
    "a password that is set": "password: " + "hunter22hunter22",
    "the value of DB_PASSWORD": f"see {SECRET}",
}


@pytest.mark.parametrize(("what", "text"), HOSTILE.items())
def test_a_secret_stops_the_commit_and_is_not_repeated(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, what: str, text: str
) -> None:
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    plan = Plan(PLAN.run, PLAN.facts, (Part("Prepare", {"a.txt": b"fine\n" + text.encode() + b"\n"}),))
    with pytest.raises(NotPublished) as refused:
        publish(repository, plan)
    assert f"a.txt, line 2: {what}" in str(refused.value)
    assert text.rsplit(" ", 1)[-1] not in str(refused.value)
    assert refs(repository.path) == ["refs/heads/main"]


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [("rows.csv", b"a,b\n", "a table or a model"), ("x.bin", b"\0", "no text"), ("x.txt", b"x" * (5 * 2**20 + 1), "bytes; at most")],
)
def test_no_table_no_model_and_nothing_large_is_committed(name: str, content: bytes, what: str) -> None:
    assert [what in str(finding) for finding in scan({name: content}, {})] == [True]


def test_what_was_redacted_or_only_names_a_secret_is_no_secret() -> None:
    fine = b"source: postgresql://ann:[redacted]@db/x\nother: s3://${KEY}:${SECRET}@bucket\npassword: null\napi_key: ${NAME_OF_IT}\n"
    assert scan({"settings.yaml": fine}, {}) == []


@pytest.fixture
def server() -> Iterator[ForgeServer]:
    with forge_server() as made:
        yield made


def forge(server: ForgeServer, kind: str, token: str = "may-write", project: str = "ann/lab") -> Forge:
    env = {"GITHUB_TOKEN": token, "GITHUB_API_URL": server.address, "GITLAB_TOKEN": token, "GITLAB_API_URL": server.address}
    return forge_of(f"git@{kind}.com:{project}.git", environment=env)


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_a_pull_request_is_opened_for_what_was_pushed(repository: Repository, server: ForgeServer, kind: str) -> None:
    done = publish(repository, PLAN, remote="origin", forge=forge(server, kind))
    assert done.pull_request == ("http://forge/pull/1" if kind == "github" else "http://forge/merge/1")
    asked = server.opened[0]
    assert {asked.get("head"), asked.get("source_branch")} >= {BRANCH}
    assert {asked.get("base"), asked.get("target_branch")} >= {"main"}
    assert "Score: roc_auc 0.9812" in asked.get("body", asked.get("description"))


@pytest.mark.parametrize("kind", ["github", "gitlab"])
@pytest.mark.parametrize(
    ("token", "project", "told"),
    [
        ("may-read", "ann/lab", "may read 'ann/lab' and not write to it"),
        ("unknown", "ann/lab", "does not know the token in GIT(HUB|LAB)_TOKEN"),
        ("may-write", "ann/nothing", "shows no project 'ann/nothing'"),
    ],
)
def test_a_token_without_rights_is_told_before_anything_is_made(
    repository: Repository, server: ForgeServer, tmp_path: Path, kind: str, token: str, project: str, told: str
) -> None:
    with pytest.raises(NotPublished, match=rf"{told}.*Nothing was committed or pushed"):
        publish(repository, PLAN, tag="v1.0.0", remote="origin", forge=forge(server, kind, token, project))
    assert refs(repository.path) == refs(tmp_path / "remote.git") == ["refs/heads/main"]


def test_a_request_that_is_refused_takes_branch_and_tag_back_everywhere(
    repository: Repository, server: ForgeServer, tmp_path: Path
) -> None:
    server.refuse = 422
    with pytest.raises(NotPublished, match=r"No commits between main and it\. Branch and tag were taken back: nothing is released"):
        publish(repository, PLAN, tag="v1.0.0", remote="origin", forge=forge(server, "github"))
    assert refs(repository.path) == refs(tmp_path / "remote.git") == ["refs/heads/main"]


def test_a_forge_that_nobody_knows_or_has_no_token_for_is_told() -> None:
    with pytest.raises(ForgeRefused, match=r"nobody knows what forge 'git\.lab' is\. Say it with --forge"):
        forge_of("https://git.lab/ann/lab.git", environment={})
    with pytest.raises(ForgeRefused, match="GITHUB_TOKEN and GH_TOKEN are not set"):
        forge_of("https://github.com/ann/lab.git", environment={})
    with pytest.raises(ForgeRefused, match="names no project"):
        forge_of("https://github.com/lab", environment={"GH_TOKEN": "x"})


def test_credentials_in_an_address_are_not_repeated() -> None:
    assert plain_address("fatal: https://ann:secret@host/x not found") == "fatal: https://host/x not found"
