"""Systems that users bring, what systems need, and how far one gets that asks a language model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from evals.attempting import attempt
from evals.launching import Job
from evals.model_door import addresses
from evals.suite import Task, load_suite
from evals.systems import System, find_systems
from team.errors import PrerequisiteMissing, UsageError
from tests.tools.installed import install

ROOT = Path(__file__).parents[2]
PATIENCE_S = 300.0


def job_of(out: Path, system: System, task: Task | None = None, **changes: object) -> Job:
    task = task or load_suite("smoke").task("iris")
    given = Job("tiny", task, system, 0, 0, 5.0, out, out / "environments", grace_s=PATIENCE_S, jail="none")
    return replace(given, **changes)  # type: ignore[arg-type]  # fields of a job


def python_of(code: str, **fields: object) -> System:
    command = ("{python}", "-I", "-S", "-c", code, "{table}", "{out}")
    return System.model_validate({"name": "own", "command": command} | fields)


REFUSES_FOUR_LINES = """
import sys
lines = open(sys.argv[1] + "/train.csv", errors="replace").readlines()
if len(lines) < 4:
    sys.exit(print("own: too few rows to learn from", file=sys.stderr) or 2)
"""


def test_a_refusal_counts_where_the_same_command_takes_a_sound_table(tmp_path: Path) -> None:
    empty = load_suite("robust").task("empty")
    row = attempt(job_of(tmp_path, python_of(REFUSES_FOUR_LINES), empty))
    assert (row.status, row.right, row.reason) == ("refused", True, "own: too few rows to learn from")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["{python}", "-m", "team.cli", "run", "--nope", "{table}/train.csv"], "--nope"),
        (["{python}", "gone.py", "{table}"], "gone.py"),
    ],
)
def test_a_command_line_that_nobody_understands_is_no_refusal(command: list[str], said: str, tmp_path: Path) -> None:
    row = attempt(job_of(tmp_path, System(name="broken", command=tuple(command)), load_suite("robust").task("empty")))
    assert (row.status, row.right) == ("failed", False)
    assert row.reason.startswith("exit code 2 for a sound table too")
    assert said in row.reason


def test_a_program_that_is_missing_is_told_with_what_brings_it_and_is_no_row(tmp_path: Path) -> None:
    system = find_systems(["h2o"])[0]
    assert "java" in system.programs
    needy = system.model_copy(update={"programs": {"no-such-java": "apt-get install default-jre-headless"}})
    with pytest.raises(PrerequisiteMissing, match=r"'h2o' needs the program 'no-such-java'.*Type: apt-get install default-jre-headless"):
        attempt(job_of(tmp_path, needy))
    assert not (tmp_path / "environments").exists(), "no environment is made for nothing"


MODULE = """
from pathlib import Path
from evals.systems import System
program = Path(__file__).with_name("prior.py")
prior = System(name="x", command=("{python}", "-I", "-S", str(program), "{table}", "{out}"), shows=(program,), why="the prior")
"""
PROGRAM = """
import json, sys
table, out = sys.argv[1:]
classes = json.load(open(table + "/meta.json"))["classes"]
rows = len(open(table + "/test.csv").readlines()) - 1
with open(out + "/predictions.csv", "w") as file:
    print(",".join("proba_" + name for name in classes), file=file)
    print((",".join(str(1 / len(classes)) for _ in classes) + chr(10)) * rows, end="", file=file)
"""


@pytest.mark.bubblewrap
def test_a_system_that_an_installed_package_brings(tmp_path: Path) -> None:
    """By the command, as its user has it: found by its name, seen in the jail, graded."""
    brought = tmp_path / "site"
    brought.mkdir()
    install(brought, "ours", MODULE, {"mlteam.systems": {"theirs": "prior"}})
    (brought / "prior.py").write_text(PROGRAM)
    words = ["eval", "smoke", "--tasks=iris", "--systems=theirs", "--seeds=1", f"--out={tmp_path / 'eval'}", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "team.cli", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{brought}"},
        stdout=subprocess.PIPE,
        check=True,
        timeout=PATIENCE_S,
    )
    (row,) = json.loads(done.stdout)["attempts"]
    assert (row["system"], row["status"]) == ("theirs", "ok")
    assert row["score"] == pytest.approx(1.0986, abs=1e-3), "the log loss of three classes alike"


def test_addresses_are_those_of_the_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    assert addresses("openai:m") == {("api.openai.com", 443)}
    assert addresses("openai:m@http://127.0.0.1:8099/v1,anthropic:n@https://Models.example/x,playbook") == {
        ("127.0.0.1", 8099),
        ("models.example", 443),
    }
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://10.0.0.5")
    assert addresses("anthropic:n") == {("10.0.0.5", 80)}
    with pytest.raises(UsageError, match="model 'nonsense' is unknown"):
        find_systems(["llm:nonsense"])


ASKS = """
import http.client, json, os, socket, sys, urllib.request
asked, other = sys.argv[3:5]
def tried(how):
    try:
        return how()
    except OSError as error:
        return f"{type(error).__name__}: {error}"
def tunnelled(port):
    proxy = http.client.HTTPConnection(os.environ["HTTPS_PROXY"].removeprefix("http://"), timeout=60)
    proxy.set_tunnel("127.0.0.1", int(port))
    proxy.request("GET", "/through")
    return proxy.getresponse().read().decode()
def plain(port):
    return urllib.request.urlopen(f"http://127.0.0.1:{port}/plain?a=b", b"{}" * 50_000, timeout=60).read().decode()
found = {
    "plain": tried(lambda: plain(asked)),
    "tunnelled": tried(lambda: tunnelled(asked)),
    "other": tried(lambda: plain(other)),
    "other_tunnelled": tried(lambda: tunnelled(other)),
    "direct": tried(lambda: str(socket.create_connection(("127.0.0.1", int(other)), 60))),
    "far": tried(lambda: str(socket.create_connection(("192.0.2.1", 80), 60))),
}
json.dump({"versions": found}, open(sys.argv[2] + "/usage.json", "w"))
sys.exit(1)
"""


@pytest.mark.bubblewrap
def test_a_system_in_its_jail_reaches_its_model_and_nothing_else(tmp_path: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = f"{self.path} {len(body)}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as model, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as other:
        threads = [Thread(target=server.serve_forever, daemon=True) for server in (model, other)]
        for thread in threads:
            thread.start()
        ports = [str(server.server_address[1]) for server in (model, other)]
        system = python_of(ASKS, network="model", model=f"openai:m@http://127.0.0.1:{ports[0]}/v1")
        system = system.model_copy(update={"command": (*system.command, *ports)})
        row = attempt(job_of(tmp_path, system, jail="bubblewrap"))
        for server in (model, other):
            server.shutdown()
    told = row.versions
    assert (told["plain"], told["tunnelled"]) == ("/plain?a=b 100000", "/through 0")
    assert "403" in told["other"]
    assert "403" in told["other_tunnelled"]
    assert told["direct"].startswith("ConnectionRefusedError")
    assert "unreachable" in told["far"]
