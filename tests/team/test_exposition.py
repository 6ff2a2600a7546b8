"""Metrics as Prometheus reads them: valid to its own checker, of one run and of a folder, and served to this machine alone."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from team.cli import main
from team.errors import UsageError
from team.exporting import MetricsExport
from team.exposition import families, read_metrics, text
from team.metrics_server import MetricsServer
from team.rundir import RunDir
from tests.team.a_run import ENDED, STARTED, WHOLE, logged, made_run

Sample = tuple[str, frozenset[tuple[str, str]]]


def exposed(run: Path) -> str:
    metrics, problem = read_metrics(RunDir(run))
    assert not problem
    return text(lambda: families([metrics]))


def samples(exposition: str) -> dict[Sample, float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }


def value(exposition: str, name: str, **labels: str) -> float:
    return samples(exposition)[name, frozenset(labels.items())]


@pytest.mark.prometheus
def test_promtool_has_nothing_to_say(tmp_path: Path) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=exposed(made_run(tmp_path)), text=True, capture_output=True, timeout=60
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_counters_and_buckets(tmp_path: Path) -> None:
    found = exposed(made_run(tmp_path))
    assert value(found, "mlteam_tokens_total", run="a-run", role="engineer", provider="openai", model="m", direction="input") == 705
    buckets = {
        bound: value(found, "mlteam_tool_seconds_bucket", run="a-run", tool="train", status="ok", le=bound)
        for bound in ("2.5", "5.0", "+Inf")
    }
    assert buckets == {"2.5": 0, "5.0": 1, "+Inf": 1}
    assert value(found, "mlteam_tool_seconds_sum", run="a-run", tool="train", status="ok") == 3.0


def test_names_from_outside_cannot_break_a_line(tmp_path: Path) -> None:
    found = exposed(made_run(tmp_path, 'a"run\\with\nlines'))
    assert value(found, "mlteam_candidates", run='a"run\\with\nlines') == 1


def test_the_file_is_written_at_the_end_of_a_stage_and_of_the_run(tmp_path: Path) -> None:
    run = RunDir(made_run(tmp_path, events=()))
    export = MetricsExport(run, None)
    states = []
    for event in logged(run.events):
        export(event)
        states.append(value(run.metrics.read_text(), "mlteam_run_status", run="a-run", status="done") if run.metrics.exists() else None)
    export.close()
    assert states == [None] * (len(WHOLE) - 2) + [0.0, 1.0]
    assert run.metrics.read_text() == exposed(run.path)
    assert not list(run.path.glob(".*.tmp"))


def test_a_file_that_cannot_be_written_ends_no_run(tmp_path: Path) -> None:
    run = RunDir(made_run(tmp_path, events=()))
    run.metrics.mkdir()
    export = MetricsExport(run, None)
    for event in logged(run.events):
        export(event)
    export.close()
    assert value(exposed(run.path), "mlteam_run_status", run="a-run", status="done") == 1


def test_a_run_that_is_taken_up_goes_on_counting(tmp_path: Path) -> None:
    run = RunDir(made_run(tmp_path, events=()))
    events = logged(run.events)
    export = MetricsExport(run, None, events[:12])
    for event in events[10:]:
        export(event)
    export.close()
    assert run.metrics.read_text() == exposed(run.path)


def test_a_folder_of_runs_is_one_exposition(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_run(tmp_path, "one")
    made_run(tmp_path, "two", [STARTED])
    assert called("metrics", "--out", tmp_path) == 0
    found = capsys.readouterr().out
    assert value(found, "mlteam_run_status", run="one", status="done") == 1
    assert value(found, "mlteam_run_status", run="two", status="stopped") == 1, "nobody works on it"
    assert found.count("# TYPE mlteam_run_status gauge") == 1


def called(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_one_run_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_run(tmp_path, "one")
    made_run(tmp_path, "two", [STARTED, ENDED])
    assert called("metrics", "two", "--out", tmp_path, "-o", tmp_path / "m.prom") == 0
    assert capsys.readouterr().out == ""
    assert {dict(labels)["run"] for _, labels in samples((tmp_path / "m.prom").read_text())} == {"two"}
    assert called("metrics", "two", "--out", tmp_path, "-o", tmp_path / "none" / "m.prom") == 2
    assert "Name another file with -o FILE" in capsys.readouterr().err


def test_a_damaged_log_is_told_and_holds_up_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_run(tmp_path, "good")
    bad = made_run(tmp_path, "bad") / "events.jsonl"
    lines = bad.read_bytes().split(b"\n")
    bad.write_bytes(b"\n".join([*lines[:3], b"rubbish", *lines[3:]]))
    assert called("metrics", "--out", tmp_path) == 1
    printed = capsys.readouterr()
    assert value(printed.out, "mlteam_run_status", run="bad", status="damaged") == 1
    assert value(printed.out, "mlteam_run_status", run="good", status="done") == 1
    assert "line 4" in printed.err


def test_an_empty_folder_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("metrics", "--out", tmp_path) == 2
    assert "there is no run in" in capsys.readouterr().err


def asked(address: str, **headers: str) -> tuple[int, str]:
    try:
        with urlopen(Request(address, headers=headers), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_server_answers_this_machine_alone(tmp_path: Path) -> None:
    metrics, _ = read_metrics(RunDir(made_run(tmp_path)))
    server = MetricsServer(lambda: families([metrics]), 0)
    try:
        status, found = asked(server.address)
        assert (status, found) == (200, exposed(tmp_path / "a-run"))
        assert asked(server.address.replace("/metrics", "/"))[0] == 404
        assert asked(server.address, Host="evil.example:80")[0] == 403, "a name that was rebound to loopback"
        with pytest.raises(UsageError, match=rf"--metrics-port {server.port}: .*in use"):
            MetricsServer(lambda: families([metrics]), server.port)
    finally:
        server.close()
        server.close()
    with pytest.raises(OSError, match="refused"):
        urlopen(server.address, timeout=5)


def test_a_taken_port_is_told_before_the_run_directory_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = MetricsServer(lambda: (), 0)
    (tmp_path / "rows.csv").write_text("a,y\n1,2\n")
    try:
        code = called(
            "run", tmp_path / "rows.csv", "--out", tmp_path / "runs", "--sandbox", "unsafe-local", "--metrics-port", str(server.port)
        )
    finally:
        server.close()
    assert code == 2
    assert "Name a port that is free" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
