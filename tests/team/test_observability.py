"""Dashboard, alert rules and scrape config: held against Prometheus's and Grafana's own checkers, and against what is exported."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from threading import Event as Flag
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from evals import queue_metrics
from team.exposition import families, read_metrics
from team.metric_families import METRICS, Metric
from team.metrics_server import MetricsServer
from team.run_metrics import RunMetrics
from team.rundir import RunDir
from tests.evals.attempted import attempt
from tests.team.a_run import WHOLE, logged, made_run
from tests.team.commands import command, running

FOLDER = Path(__file__).parents[2] / "docs" / "observability"
DASHBOARD = json.loads((FOLDER / "grafana.json").read_text(encoding="utf-8"))
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))
PENGUINS = Path(__file__).parents[2] / "evals" / "data" / "penguins.csv"
LONGEST_S = 120.0
_NAME = re.compile(r"\bmlteam_\w+")


def sampled(metric: Metric) -> set[str]:
    """Names of a metric's samples in an exposition."""
    endings = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}[metric.kind]
    return {metric.name + ending for ending in endings}


DECLARED = [*METRICS.values(), *queue_metrics.METRICS]
EXPORTED = set().union(*map(sampled, DECLARED))


def panels() -> Iterator[dict[str, Any]]:
    yield from DASHBOARD["panels"]


def queries() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel.get("targets", ())]


def alerts() -> Iterator[dict[str, Any]]:
    for group in RULES["groups"]:
        yield from group["rules"]


def labels_of(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each metric of an expression with the labels that it is selected by."""
    for name, selector in re.findall(r"(mlteam_\w+)(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))


def test_every_metric_that_is_asked_for_is_exported() -> None:
    asked = set(_NAME.findall("\n".join([*queries(), *(rule["expr"] for rule in alerts())])))
    asked |= {name for one in DASHBOARD["templating"]["list"] for name in _NAME.findall(json.dumps(one))}
    assert asked - EXPORTED == set()
    assert len(asked) > 25


def test_every_label_that_is_asked_for_is_exported() -> None:
    known = {
        name: {*metric.labels, *(["run"] if metric in METRICS.values() else []), "le"} for metric in DECLARED for name in sampled(metric)
    }
    expressions = [*queries(), *(rule["expr"] for rule in alerts())]
    asked = {(name, label) for expression in expressions for name, labels in labels_of(expression) for label in labels}
    assert {(name, label) for name, label in asked if label not in known[name]} == set()
    assert ("mlteam_failures_total", "kind") in asked


def lost(given: Any, kept: Any, place: str = "") -> Iterator[str]:
    """Where a document says something that another one does not."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            yield from lost(value, kept[key], f"{place}/{key}") if key in kept else (f"{place}/{key}",)
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for at, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from lost(one, other, f"{place}/{at}")
    elif given != kept:
        yield place


def read_by_grafana(document: dict[str, Any]) -> Any:
    """A dashboard as Grafana's own types take it in and write it again: what they do not know is not in it."""
    register_default_plugins()
    return json.loads(json.dumps(Dashboard.from_json(document), cls=JSONEncoder))


def test_the_dashboard_says_nothing_that_grafana_does_not_know() -> None:
    assert list(lost(DASHBOARD, read_by_grafana(DASHBOARD))) == []
    strange = json.loads(json.dumps(DASHBOARD))
    strange["panels"][1]["options"]["colourMode"] = "value"
    strange["panels"][1]["gridPos"]["z"] = 1
    found = list(lost(strange, read_by_grafana(strange)))
    assert found == ["/panels/1/gridPos/z", "/panels/1/options/colourMode"], "what is misspelt is found so"


def test_panels_have_a_place_of_their_own() -> None:
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels())
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24, "Grafana's grid has 24 columns"
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    assert all(panel["title"] and (panel["type"] == "row" or panel["description"]) for panel in panels())


@pytest.mark.prometheus
@pytest.mark.parametrize(
    "words",
    [("check", "config", "prometheus.yml"), ("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")],
    ids=["config", "rules", "tests of rules"],
)
def test_promtool_agrees(words: tuple[str, ...]) -> None:
    checked = subprocess.run(["promtool", *words], cwd=FOLDER, text=True, capture_output=True, timeout=120)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "SUCCESS" in checked.stdout


def test_every_alert_has_a_test_that_sees_it_fire() -> None:
    tests = yaml.safe_load((FOLDER / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]}
    assert fired == {rule["alert"] for rule in alerts()}


class Prometheus:
    """A real Prometheus on loopback, with the project's own config but for the places that it scrapes and how often."""

    def __init__(self, folder: Path, port: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
        config["global"] |= {"scrape_interval": "200ms", "evaluation_interval": "200ms"}
        config["scrape_configs"] = [one for one in config["scrape_configs"] if one["job_name"] == "mlteam"]
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{port}"]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        shutil.copy(FOLDER / "alerts.yml", folder)
        self._command = ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
        self._command += [f"--web.listen-address={self.address}", "--storage.tsdb.retention.time=1h"]
        self._log = folder / "prometheus.log"

    @contextmanager
    def up(self) -> Iterator[Prometheus]:
        with self._log.open("wb") as log, subprocess.Popen(self._command, stdout=log, stderr=log) as process:
            try:
                yield self
            finally:
                process.terminate()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()

    def ask(self, path: str) -> Any:
        """What its API answers.

        Raises:
            AssertionError: it refuses the question.
            URLError: it is not up yet.
        """
        try:
            with urlopen(f"http://{self.address}/api/v1/{path}", timeout=30) as answer:
                return json.load(answer)["data"]
        except HTTPError as error:
            with error:
                if error.code == 503:
                    raise URLError("it is starting") from None
                raise AssertionError(error.read().decode()) from None

    def query(self, expression: str) -> list[dict[str, Any]]:
        return list(self.ask(f"query?query={quote(expression)}")["result"])

    def until(self, happened: Callable[[], Any]) -> Any:
        """Wait for a fact, which is what comes back."""
        pause, until = Flag(), time.monotonic() + LONGEST_S
        while True:
            try:
                if found := happened():
                    return found
            except URLError:
                pass
            assert time.monotonic() < until, self._log.read_text(errors="replace")[-2_000:]
            pause.wait(0.1)


def filled(expression: str) -> str:
    """A dashboard's expression with its variables as Grafana fills them in."""
    return expression.replace("$__rate_interval", "1m").replace("$__range", "1h").replace("$run", ".*")


@pytest.mark.prometheus
def test_every_expression_of_the_dashboard_is_answered_by_a_prometheus_that_scrapes(tmp_path: Path) -> None:
    ended, _ = read_metrics(RunDir(made_run(tmp_path)))
    going_on = RunMetrics("b-run")
    for event in logged(tmp_path / "b-run" / "events.jsonl", WHOLE[:15]):
        going_on(event)
    queue = queue_metrics.QueueMetrics("smoke")
    queue.ended("dummy", attempt("rows", "dummy", 0.5, dollars=0.5))
    server = MetricsServer(lambda: chain(families([ended, going_on]), queue.families()), 0)
    try:
        with Prometheus(tmp_path, server.port).up() as prometheus:
            prometheus.until(lambda: prometheus.query("rate(mlteam_tokens_total[1m])"))  # two scrapes
            answers = {expression: prometheus.query(filled(expression)) for expression in queries()}
            prometheus.until(lambda: {"MlteamPriceUnknown"} & {one["labels"]["alertname"] for one in prometheus.ask("alerts")["alerts"]})
            rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    finally:
        server.close()
    assert [expression for expression, found in answers.items() if not found] == []
    (tokens,) = (found for expression, found in answers.items() if expression.startswith("sum by (direction)"))
    assert {one["metric"]["direction"]: float(one["value"][1]) for one in tokens} == {"input": 2 * 705.0, "output": 2 * 30.0}
    (table,) = (found for expression, found in answers.items() if "group_left" in expression)
    assert {one["metric"]["run"]: (one["metric"]["status"], one["metric"]["sandbox"]) for one in table} == {
        "a-run": ("done", "bubblewrap"),
        "b-run": ("running", "bubblewrap"),
    }
    assert {rule["name"]: rule.get("lastError", "") for rule in rules} == dict.fromkeys((rule["alert"] for rule in alerts()), "")


@pytest.mark.prometheus
@pytest.mark.slow
def test_a_live_run_is_scraped_and_logs_in_json(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ("--target", "Sex", "--time", "300s", "--sandbox", "unsafe-local", "--out", str(tmp_path / "runs"))
    words = command("run", str(PENGUINS), *options, "--metrics-port", str(port), "--log-format", "json")
    with Prometheus(tmp_path, port).up() as prometheus, running(words) as process:
        cells = prometheus.until(lambda: prometheus.query("sum by (run) (mlteam_cell_seconds_count) > 0"))
        live = prometheus.query('mlteam_run_status{status="running"} == 1')
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    run = next((tmp_path / "runs").iterdir())
    assert (process.returncode, out) == (130, "")
    assert [one["metric"]["run"] for one in cells] == [one["metric"]["run"] for one in live] == [run.name]
    told = [json.loads(line) for line in err.splitlines()]
    assert {line["run"] for line in told if line["logger"] == "mlteam.run"} == {run.name}
    assert (told[-1]["level"], told[-1]["exit_code"]) == ("ERROR", 130)
    assert 'status="interrupted"} 1.0' in (run / "metrics.prom").read_text()
