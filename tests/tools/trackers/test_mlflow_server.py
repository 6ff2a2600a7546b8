"""Addresses of tracking servers, and servers that are down in every way: what it costs, and what is told."""

from __future__ import annotations

import base64
import os
import time
from contextlib import nullcontext
from typing import Any

import pytest

from tests.contracts.tracker import record
from tests.faulty_server import answering, refusing, silent, trickling
from tools.trackers.contract import NOTHING, NotSent, Patience
from tools.trackers.mlflow_server import Server, check_address
from tools.trackers.mlflow_store import load_tracker

QUICK = Patience(1, 1.0)


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("HTTP://MLflow.example:5000/", "http://mlflow.example:5000"),
        ("https://example/team/mlflow//", "https://example/team/mlflow"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_equal_servers_are_equal_texts(given: str, settled: str) -> None:
    assert check_address(given) == settled


@pytest.mark.parametrize(
    "given", ["localhost:5000", "sqlite:///mlflow.db", "databricks", "", "http://", "http://a b", "http://h:port", "//h:1"]
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"expected http://HOST:PORT or https://HOST"):
        check_address(given)


@pytest.mark.parametrize(
    "given",
    [
        "http://ann:s3cr3t-word@host:5000",
        "https://s3cr3t-word@host",
        "ann:s3cr3t-word@host",
        "http://host/?token=s3cr3t-word",
        "http://h#s3cr3t-word",
    ],
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(ValueError, match="MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD") as refused:
        check_address(given)
    assert "s3cr3t" not in str(refused.value)


DOWN: dict[str, tuple[Any, str, bool]] = {
    "refused": (lambda: nullcontext(refusing()), "the connection was refused", False),
    "silent": (silent, "it did not answer within 1 s", False),
    "trickling": (lambda: trickling(0.3), "it is too slow", False),
    "error 500": (lambda: answering(500), "it answered 500", False),
    "busy for an hour": (lambda: answering(503, Retry_After="3600"), "it answered 503", False),
    "locked": (lambda: answering(401), "it answered 401; set MLFLOW_TRACKING_USERNAME", True),
    "something else": (lambda: answering(200), "it does not answer as an MLflow server does", False),
    "another path": (lambda: answering(404), "it answered 404", True),
}


@pytest.mark.parametrize("how", DOWN)
def test_a_server_that_is_down_costs_little_and_is_told_as_what_it_is(how: str) -> None:
    server, told, answered = DOWN[how]
    load_tracker()
    with server() as up:
        address = up[0] if isinstance(up, tuple) else up
        began = time.monotonic()
        with pytest.raises(NotSent, match=told) as caught:
            Server(address).write(record("down"), NOTHING, QUICK)
    assert caught.value.answered is answered
    assert time.monotonic() - began < 10, "less than a run would wait"


def test_credentials_are_sent_and_told_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3cr3t-word")
    basic = base64.b64encode(b"ann:s3cr3t-word").decode()
    for status in (200, 401, 500):
        with answering(status) as (address, seen), pytest.raises(NotSent) as caught:
            Server(address).write(record("secret"), NOTHING, QUICK)
        assert seen == [f"Basic {basic}"]
        error: BaseException | None = caught.value
        while error is not None:
            assert not any(secret in repr(error) for secret in ("s3cr3t", basic))
            error = error.__cause__


def test_the_environment_is_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    load_tracker()
    before = dict(os.environ)
    with pytest.raises(NotSent):
        Server(refusing()).write(record("environment"), NOTHING, QUICK)
    assert dict(os.environ) == before
