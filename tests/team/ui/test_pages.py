"""What the page shows of a folder, and that it shows nothing else."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from evals.attempts import Attempt, Attempts
from evals.site.writing import publish
from tests.reports.written import finished
from tests.team.scored import scored
from tests.team.ui.served import served

HOSTILE = "<img src=x onerror=alert(1)>\"'&{{7*7}}</script><script>alert(2)</script>"
FOLDER = "20260101-000000-<img src=x onerror=alert(3)> & 100% #1?"


class Tags(HTMLParser):
    """Which tags and which attributes that run scripts a page has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.acting: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.acting += [f"{tag} {name}" for name, value in attrs if name.startswith("on") or (value or "").startswith("javascript:")]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def names(out: Path) -> dict[str, str]:
    hostile = finished(out, name=HOSTILE)
    hostile.path.rename(out / FOLDER)
    first, second = (scored(out, noise=noise).name for noise in (0.1, 0.4))
    (out / first / "reports" / "report.html").write_text("<!doctype html><title>a report</title><script>1</script>")
    damaged = out / "20260102-000000-damaged"
    damaged.mkdir()
    (damaged / "events.jsonl").write_text('{"kind": "nonsense"}\n')
    attempts = Attempts(out / "smoke")
    (out / "smoke").mkdir()
    for seed in (0, 1):
        attempts.append(
            Attempt(
                suite="smoke", task="a <b>", system="mlteam", seed=seed, budget_s=10, status="ok", metric="roc_auc", direction="max",
                score=0.9, low=0.8, high=0.95, wall_s=9.0, cpu_s=9.0, peak_mb=100.0, finished="2026-01-01T00:00:00+00:00",
            )
        )  # fmt: skip
    publish(out / "smoke")
    return {"hostile": FOLDER, "first": first, "second": second, "damaged": damaged.name}


@pytest.fixture(scope="module")
def client(out: Path, names: dict[str, str]) -> Iterator[httpx.Client]:
    with served(out) as made:
        yield made


def test_runs_and_evals_are_listed_with_what_they_reached(client: httpx.Client, names: dict[str, str]) -> None:
    listed = client.get("/api/runs").json()
    by_name = {row["entry"]["name"]: row for row in listed["runs"]}
    assert set(by_name) == set(names.values())
    first = by_name[names["first"]]
    assert (first["entry"]["state"], first["entry"]["metric"], first["usd"], first["roles"]) == ("done", "roc_auc", 0.0, "playbook")
    assert first["entry"]["holdout"]["low"] <= first["entry"]["holdout"]["score"] <= first["entry"]["holdout"]["high"]
    assert (by_name[names["damaged"]]["entry"]["state"], by_name[names["damaged"]]["address"]) == ("damaged", None)
    assert [(row["name"], row["site"], row["systems"], row["attempts"]) for row in listed["evals"]] == [("smoke", True, ["mlteam"], 2)]
    page = client.get("/").text
    for name in (names["first"], names["second"]):
        assert f'href="/runs/{name}/"' in page
    assert 'href="/evals/smoke/site/index.html"' in page
    assert client.get(f"/api/runs/{names['first']}").json() == first


def test_text_of_runs_is_text_wherever_it_stands(client: httpx.Client, names: dict[str, str]) -> None:
    place = f"/runs/{quote(names['hostile'], safe='')}"
    pages = [client.get(path).text for path in ("/", f"{place}/", f"{place}/trace", f"{place}/cells/0", "/compare", "/runs/%3Cb%3E/")]
    pages += [client.get("/compare", params={"run": [names["hostile"], names["first"]]}).text]
    pages += [client.get(f"{place}/live").text]
    for page in pages:
        found = Tags(page)
        assert "img" not in found.tags
        assert found.acting == []
        assert "49" not in re.findall(r"onerror=alert\(1\).{0,20}", page)
        assert not re.search(r"<script>alert", page)
    assert "&lt;img src=x onerror=alert(1)&gt;" in pages[1]
    assert "{{7*7}}" in pages[1]


def test_a_finished_run_has_its_turns_leaders_and_score(client: httpx.Client, names: dict[str, str]) -> None:
    page = client.get(f"/runs/{quote(names['hostile'], safe='')}/").text
    assert page.count('class="turn"') == 5
    assert "0.9777" in page
    assert "The holdout was looked at once." in page
    assert page.index("lightgbm-1") < page.index("linear-1")
    assert 'data-state="done"' in page
    assert "<code>profile_table</code>" in page


def test_the_timeline_holds_stages_turns_calls_and_cells(client: httpx.Client, names: dict[str, str]) -> None:
    page = client.get(f"/runs/{quote(names['hostile'], safe='')}/trace").text
    kinds = re.findall(r'class="span (\w+)', page)
    assert {kind: kinds.count(kind) for kind in ("stage", "turn", "tool", "cell")} == {"stage": 4, "turn": 5, "tool": 8, "cell": 0}
    for begin, long in re.findall(r'<rect x="([\d.]+)%" width="([\d.]+)%"', page):
        assert 0 <= float(begin) <= 100
        assert float(begin) + float(long) <= 100.001


def test_a_cell_shows_its_code_and_what_came_of_it(client: httpx.Client, names: dict[str, str]) -> None:
    place = f"/runs/{quote(names['hostile'], safe='')}/cells"
    page = client.get(f"{place}/1").text
    assert "from tools.training import train" in page
    assert "a warning" in page
    assert client.get(f"{place}/99").status_code == 404
    assert client.get(f"{place}/x").status_code == 422


def test_runs_are_compared_by_the_paired_tests(client: httpx.Client, names: dict[str, str]) -> None:
    both = {"run": [names["first"], names["second"]]}
    facts = client.get("/api/compare", params=both).json()
    assert facts["comparable"]
    assert {test["test"] for test in facts["pairs"][0]["tests"]} >= {"delong", "corrected_t"}
    page = client.get("/compare", params=both)
    assert facts["pairs"][0]["verdict"].split(" (")[0] in page.text
    assert page.headers["content-security-policy"].startswith("sandbox")
    assert client.get("/compare").text.count('name="run"') == 3
    assert client.get("/api/compare", params={"run": [names["first"]] * 2}).status_code == 400
    assert client.get("/api/compare", params={"run": [names["first"], "none"]}).status_code == 404
    assert client.get("/api/compare", params={"run": [str(n) for n in range(13)]}).status_code == 400
    assert client.get("/api/compare").status_code == 400


def test_documents_and_eval_sites_are_pages_of_their_own(client: httpx.Client, names: dict[str, str]) -> None:
    place = f"/runs/{names['first']}/files"
    report = client.get(f"{place}/reports/report.html")
    assert (report.status_code, report.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = report.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert f"{place}/reports/report.html" in client.get(f"/runs/{names['first']}/").text
    assert len(client.get(f"{place}/events.jsonl").text.splitlines()) == 5
    index = client.get("/evals/smoke/site/index.html")
    assert index.headers["content-security-policy"] == policy
    linked = [link for link in re.findall(r'href="([^"#]+)"', index.text) if link.endswith(".html")]
    assert linked
    for link in linked:
        assert client.get(f"/evals/smoke/site/{link}").status_code == 200, link
    assert json.loads(client.get("/evals/smoke/standings.json").text)["standings"]


PATHS = [
    "/runs/{first}/files/vault/labels.parquet", "/runs/{first}/files/vault/ledger.jsonl", "/runs/{first}/files/settings.yaml",
    "/runs/{first}/files/data/train.parquet", "/runs/{first}/files/work/x", "/runs/{first}/files/reports", "/runs/{first}/files/",
    "/runs/{first}/files/reports/../vault/ledger.jsonl", "/runs/{first}/files/reports/%2e%2e/vault/ledger.jsonl",
    "/runs/{first}/files/..%2f..%2fsecret", "/runs/{first}/files/reports/..%2f..%2f..%2fsecret", "/runs/{first}/files/%2fetc%2fpasswd",
    "/runs/{first}/files/reports/%00", "/runs/{first}/files/reports/.hidden", "/runs/{first}/files/reports%5c..%5csecret",
    "/runs/../secret/", "/runs/%2e%2e/", "/runs/..%2fsecret/", "/runs/./", "/runs/%2e/", "/runs/%00/", "/runs//", "/runs/.hidden/",
    "/runs/%2e%2e/files/secret", "/runs/smoke/", "/evals/{first}/events.jsonl", "/evals/%2e%2e/secret", "/evals/smoke/..%2f..%2fsecret",
    "/evals/smoke/site/../../secret", "/evals/smoke/site/%2e%2e/%2e%2e/secret", "/evals/smoke/attempts.parquet", "/static/../app.py",
    "/static/%2e%2e/app.py", "/runs/{damaged}-x/", "/runs/{first}%00/", "/runs/" + "a" * 5000 + "/",
]  # fmt: skip


def raw(client: httpx.Client, path: str) -> tuple[int, str]:
    """Ask for a path as it is: other clients take the dots out."""
    connection = http.client.HTTPConnection("127.0.0.1", client.base_url.port or 80, timeout=60)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_no_path_leads_to_anything_else(client: httpx.Client, out: Path, names: dict[str, str]) -> None:
    (out / "secret").write_text("a secret")
    (out.parent / "secret").write_text("a secret")
    (out / names["first"] / "reports" / ".hidden").write_text("a secret")
    for path in PATHS:
        status, text = raw(client, path.format(**names))
        assert status == 404, (path, text[:300])
        assert "a secret" not in text


def test_no_link_is_followed(tmp_path: Path) -> None:
    out, outside = tmp_path / "runs", tmp_path / "outside"
    out.mkdir()
    whole = finished(outside)
    (outside / "secret").write_text("a secret")
    (out / "20260101-000000-linked").symlink_to(whole.path)
    runs = {}
    for kind in ("events", "contract", "vault", "report", "deep"):
        runs[kind] = finished(out).path
    moves = {"events": "events.jsonl", "contract": "contract.json", "vault": "vault"}
    for kind, name in moves.items():
        inside = runs[kind] / name
        inside.rename(outside / kind)
        inside.symlink_to(outside / kind)
    (runs["report"] / "reports" / "report.html").symlink_to(outside / "secret")
    (runs["deep"] / "reports" / "paper").mkdir()
    (runs["deep"] / "reports" / "paper" / "figures").symlink_to(outside)
    (out / "evaluated").symlink_to(outside)
    with served(out) as client:
        states = {row["entry"]["name"]: row["entry"]["state"] for row in client.get("/api/runs").json()["runs"]}
        assert states.pop("20260101-000000-linked") == "link"
        assert states.pop(runs["deep"].name) == "done"
        assert set(states.values()) == {"damaged"}
        assert client.get("/runs/20260101-000000-linked/").status_code == 404
        for kind in ("events", "contract", "vault", "report"):
            for path in ("", "trace", "live", "files/events.jsonl", "files/contract.json", "files/reports/report.html"):
                answer = client.get(f"/runs/{runs[kind].name}/{path}")
                assert (answer.status_code, "a secret" in answer.text) == (404, False), (kind, path)
            assert client.get("/compare", params={"run": [runs[kind].name, runs["deep"].name]}).status_code == 404
        assert client.get(f"/runs/{runs['deep'].name}/files/reports/paper/figures/secret").status_code == 404
        assert client.get("/evals/evaluated/secret").status_code == 404
