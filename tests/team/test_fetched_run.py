"""A run whose source needs a password: nothing that it leaves holds it."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from team.errors import MlteamError
from team.events import ProgressMade
from team.log import read_events
from team.run import start
from team.settings import load_settings
from tests.tools.sources.file_server import Served, serving

SECRET = "pl4nted/s3cret&word"
TRACES = (SECRET, "pl4nted%2Fs3cret%26word", "s3cret&word", "s3cret%26word", "YW5uOnBsNG50ZWQvczNjcmV0JndvcmQ")
"""As it is, as URLs write it, parts of it, and as it is sent."""


def table() -> bytes:
    draw = random.Random(0)
    rows = [(draw.random(), draw.random()) for _ in range(120)]
    return ("a,b,y\n" + "".join(f"{a:.3f},{b:.3f},{int(a + b > 1)}\n" for a, b in rows)).encode()


def test_a_planted_secret_is_left_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    secrets = tmp_path / "secrets"
    secrets.write_text(f"# ours\nSHOP_WORD={SECRET}\n")
    secrets.chmod(0o600)
    monkeypatch.setenv("MLTEAM_SECRETS", str(secrets))
    monkeypatch.setenv("MLTEAM_CACHE", str(tmp_path / "cache"))
    with serving() as server:
        server.files["/t.csv"] = Served(table(), '"one"')
        source = server.address.replace("://", "://ann:${SHOP_WORD}@") + "/t.csv?token=${SHOP_WORD}"
        given = {
            "target": "y",
            "time": "200s",
            "trials": 0,
            "folds": 2,
            "families": "linear",
            "sandbox": "unsafe-local",
            "out": tmp_path / "runs",
        }
        summary = start(load_settings({"source": source, **given}))
        assert server.seen[0][0] == "/t.csv?token=pl4nted%2Fs3cret%26word"
        assert "YW5uOnBsNG50ZWQvczNjcmV0JndvcmQ" in server.seen[0][1]["authorization"]
        server.files.clear()
        with pytest.raises(MlteamError, match=r"t.csv\?token=\$\{SHOP_WORD\} answered 404") as refused:
            start(load_settings({"source": source, **given}))
    run = Path(summary["run"])
    assert any(isinstance(event, ProgressMade) and event.facts.get("file") == "t.csv" for event in read_events(run / "events.jsonl"))
    left = [path for top in (run, tmp_path / "cache", tmp_path / "runs") for path in top.rglob("*") if path.is_file()]
    assert {"settings.yaml", "events.jsonl", "notebook.ipynb", "report.html", "traces.jsonl", "mlflow.db", "manifest.json"} <= {
        p.name for p in left
    }
    with sqlite3.connect(f"file:{run / 'mlflow.db'}?mode=ro", uri=True) as store:
        stored = "\n".join(store.iterdump())
    store.close()
    texts = {str(path): path.read_bytes().decode("latin-1") for path in left} | {
        "printed": "".join(capfd.readouterr()),
        "error": str(refused.value),
        "summary": str(summary),
        "stored": stored,
    }
    assert [(where, trace) for where, text in texts.items() for trace in TRACES if trace in where + text] == []
