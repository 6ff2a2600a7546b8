"""Where the page listens, who may ask, and what every answer carries."""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from team.ui.gate import POLICY
from team.ui.serving import is_loopback
from tests.reports.written import finished
from tests.team.commands import command
from tests.team.ui.feeding import all_said
from tests.team.ui.served import served

TOKEN = "spoken by nobody"


def refused(*words: str) -> tuple[int, str]:
    ended = subprocess.run(command("ui", *words), capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stderr.strip()


def test_another_machine_needs_a_token(tmp_path: Path) -> None:
    code, told = refused("--out", str(tmp_path), "--host", "0.0.0.0", "--port", "0")
    assert code == 2
    assert told.startswith("mlteam: host '0.0.0.0' can be reached from other machines, and there is no token. Set MLTEAM_UI_TOKEN")


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False), ("box.local", False)],
)
def test_what_is_reached_from_this_machine_alone(host: str, own: bool) -> None:
    assert is_loopback(host) is own


def test_a_folder_that_is_not_there_and_a_port_that_is_taken(tmp_path: Path) -> None:
    code, told = refused("--out", str(tmp_path / "none"))
    assert (code, "is no folder" in told, "mlteam run" in told) == (2, True, True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, told = refused("--out", str(tmp_path), "--port", str(taken.getsockname()[1]))
    assert (code, "cannot listen on 127.0.0.1" in told, "--port" in told) == (2, True, True)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    program = f"import sys; sys.modules['fastapi'] = None; from team.cli import main; main(['ui', '--out', {str(tmp_path)!r}])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 4
    assert ended.stderr.strip() == "mlteam: the page needs fastapi, which is not installed. Type: pip install 'mlteam[ui]'"


def test_a_page_of_somebody_else_cannot_ask_and_nothing_can_be_changed(tmp_path: Path) -> None:
    with served(tmp_path) as client:
        port = client.base_url.port
        for host in (f"evil.example:{port}", "evil.example", "127.0.0.1.evil.example", "", f"localhost.:{port}"):
            assert client.get("/", headers={"host": host}).status_code == 421
        for host in (f"localhost:{port}", "127.0.0.1", f"[::1]:{port}"):
            assert client.get("/", headers={"host": host}).status_code == 200
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            for path in ("/", "/token", "/api/runs"):
                assert client.request(method, path).status_code == 405
        for path in ("/", "/nothing", "/api/runs", "/static/ui.js"):
            headers = client.get(path).headers
            assert headers["content-security-policy"] == POLICY
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert "access-control-allow-origin" not in headers
        assert {client.get(path).status_code for path in ("/docs", "/openapi.json", "/redoc")} == {404}


def test_a_token_opens_everything_once_it_was_given_and_nothing_before(tmp_path: Path) -> None:
    run = finished(tmp_path)
    inside = f"/runs/{run.name}/"
    with served(tmp_path, "--host", "0.0.0.0", MLTEAM_UI_TOKEN=TOKEN) as client:
        for path in ("/", inside, "/api/runs", f"/api/runs/{run.name}/events", f"{inside}live", f"{inside}files/events.jsonl", "/rows"):
            answer = client.get(path)
            assert answer.status_code == 401, path
            assert run.name not in answer.text
        asked = client.get(inside, headers={"accept": "text/html"})
        assert asked.status_code == 401
        assert '<input id="token"' in asked.text
        # As a bearer, from any name.
        bearer = {"authorization": f"Bearer {TOKEN}", "host": "box.example"}
        assert client.get("/api/runs", headers=bearer).json()["runs"][0]["entry"]["name"] == run.name
        assert client.get("/api/runs", headers={"authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/api/runs", headers={"authorization": f"Basic {TOKEN}"}).status_code == 401
        # In the address: for a cookie, and out of the address again.
        wrong = client.get(inside, params={"token": "wrong"})
        assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
        right = client.get(f"{inside}live", params={"view": "trace", "token": TOKEN})
        assert (right.status_code, right.headers["location"]) == (303, f"{inside}live?view=trace")
        cookie = right.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert TOKEN not in cookie
        assert client.get(inside).status_code == 200
        assert all_said(client, f"/api/runs/{run.name}/events")[-1].kind == "over"
        # In the form.
        with httpx.Client(base_url=client.base_url) as other:
            assert other.post("/token", data={"token": "wrong"}).status_code == 401
            assert other.get("/").status_code == 401
            assert other.post("/token", data={"token": TOKEN}).headers["location"] == "/"
            assert other.get("/").status_code == 200


def test_the_token_leads_to_no_other_place(tmp_path: Path) -> None:
    with served(tmp_path, MLTEAM_UI_TOKEN=TOKEN) as client:
        for path in ("//evil.example/x", "/\\evil.example/x", "/%0d%0aset-cookie:%20a=b"):
            connection = http.client.HTTPConnection("127.0.0.1", client.base_url.port or 80, timeout=60)
            connection.request("GET", f"{path}?token={TOKEN.replace(' ', '+')}")
            answer = connection.getresponse()
            assert answer.status == 303
            location = answer.headers["location"]
            assert re.match(r"/[^/\\]", location), location
            assert "\n" not in location
            connection.close()


def test_it_ends_while_somebody_follows(tmp_path: Path) -> None:
    run = finished(tmp_path)
    with run.lock(), served(tmp_path) as client, client.stream("GET", f"/runs/{run.name}/live") as answer:
        assert next(answer.iter_lines()) == "retry: 1000"
