"""A deployment: a folder that is whole, manifests that Kubernetes takes, and a server that ends as a platform asks it to."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from team.errors import UsageError
from team.sandbox.daemon import connect
from team.sandbox.image import find
from team.serving import write_deployment
from tests.hosting import Hosting
from tests.packaged import packaged
from tools.deploying.kubernetes import resource_name
from tools.package.manifest import verify

LONGEST_S = 240.0


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Hosting:
    return packaged(tmp_path_factory.mktemp("runs"), "sklearn:iris", "target", "tree")


@pytest.fixture(scope="module")
def folder(released: Hosting, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("deployments") / "iris"
    write_deployment(str(released.run.model), out=made.parent, target=made, image="registry/iris:1.2.0", host="iris.example.org")
    return made


def test_manifests_are_valid_by_the_schemas_of_kubernetes(folder: Path) -> None:
    import kubernetes_validate

    documents = {path.name: yaml.safe_load(path.read_text()) for path in (folder / "kubernetes").iterdir()}
    kinds = {document["kind"] for document in documents.values()}
    assert kinds == {"Deployment", "Service", "Ingress", "HorizontalPodAutoscaler"}
    for document in documents.values():
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    container = documents["deployment.yaml"]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry/iris:1.2.0"
    assert {"livenessProbe", "readinessProbe", "startupProbe"} <= container.keys()
    assert container["resources"]["limits"] == {"cpu": "1", "memory": "1024Mi"}
    wrong = documents["service.yaml"] | {"spec": {"ports": "80"}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


def test_the_folder_holds_the_package_and_no_more_of_the_engine_than_serving_takes(folder: Path, released: Hosting) -> None:
    assert verify(folder / "model").run == released.run.name
    lock = (folder / "requirements.lock").read_text()
    assert all(f"\n{name}==" in lock for name in ("fastapi", "uvicorn", "scikit-learn"))
    assert "torch==" not in lock
    assert "catboost==" not in lock
    assert not (folder / "app" / "tools" / "sources").exists()
    dockerfile = (folder / "Dockerfile").read_text()
    assert dockerfile.count("\nFROM ") == 2
    assert "\nUSER 10001:10001\n" in dockerfile


def test_what_stands_in_the_way_is_told(folder: Path, released: Hosting, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is there already\. Name another folder with -o DIR"):
        write_deployment(str(released.run.model), out=tmp_path, target=folder, image=None, host=None)
    with pytest.raises(UsageError, match="cannot write"):
        write_deployment(str(released.run.model), out=tmp_path, target=Path("/proc/none/x"), image=None, host=None)
    assert resource_name("20260101-120000-Ünï çöde__") == "model-20260101-120000-n-de"


@contextlib.contextmanager
def serving(folder: Path, model: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process that a container runs, on a free port, once it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(folder / "app"), "HOST": "127.0.0.1", "PORT": str(port), "MLTEAM_SERVE_KEY": "k"}
    env["MLTEAM_SERVE_RATE"] = "0"  # a quick model answers more than the hundred requests a second that one client may make
    words = [sys.executable, "-m", "tools.serving", str(model)]
    process = subprocess.Popen(words, cwd=folder / "app", env=env, stderr=subprocess.PIPE, text=True)
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate(timeout=60)


def until_ready(process: subprocess.Popen[str], address: str) -> None:
    until = time.monotonic() + LONGEST_S
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/ready", timeout=10) as answer:
            assert answer.status == 200
            return
        assert time.monotonic() < until, f"it was not ready within {LONGEST_S:g} s"
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(process.communicate(timeout=60)[1])


@pytest.mark.slow
def test_the_engine_of_the_folder_serves_under_load_and_ends_in_peace(folder: Path) -> None:
    with serving(folder, folder / "model") as (process, address):
        log: list[str] = []
        # It writes a line for each request, and waits where nobody reads them.
        reading = threading.Thread(target=lambda: log.extend(process.stderr or []), daemon=True)
        reading.start()
        until_ready(process, address)
        words = [sys.executable, str(folder / "load.py"), address, "--key", "k", "--rows", str(folder / "example.json"), "--seconds", "1"]
        loaded = subprocess.run([*words, "--clients", "2"], capture_output=True, text=True, timeout=LONGEST_S)
        assert loaded.returncode == 0, loaded.stderr
        assert json.loads(loaded.stdout)["failed"] == 0
        process.send_signal(signal.SIGTERM)
        process.wait(LONGEST_S)
        reading.join(LONGEST_S)
        lines = [json.loads(line) for line in log]
        assert (lines[0]["event"], lines[-1]["event"]) == ("started", "stopped")
        assert process.returncode == 0


def test_a_container_with_a_model_that_was_changed_does_not_start(folder: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(folder / "model", tmp_path / "model"))
    (model / "pipeline.joblib").write_bytes(b"another")
    with serving(folder, model) as (process, _):
        _, told = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 1
    assert "pipeline.joblib is not the file that was packaged: its hash differs" in told
    assert "Traceback" not in told


@pytest.mark.docker
@pytest.mark.slow
def test_the_image_is_built_and_answers_as_somebody_who_is_not_root(folder: Path, tmp_path: Path) -> None:
    """With wheels that pip fetches beside it, on top of the sandbox's image, which has a Python where no registry is reached."""
    context = Path(shutil.copytree(folder, tmp_path / "context"))
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", str(context / "wheelhouse")]
    subprocess.run([*words, "-r", str(context / "requirements.lock")], check=True, timeout=600)
    client = connect()
    base = find(client).current
    image, _ = client.images.build(path=str(context), buildargs={"BASE_IMAGE": base}, rm=True, forcerm=True, timeout=900)
    container = client.containers.run(
        image.id, detach=True, environment={"MLTEAM_SERVE_KEY": "k"}, read_only=True, tmpfs={"/tmp": ""}, cap_drop=["ALL"]
    )
    try:
        ask = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:8000/ready', timeout=5).read().decode())"
        until = time.monotonic() + LONGEST_S
        while (answer := container.exec_run(["/venv/bin/python", "-c", ask])).exit_code:
            assert time.monotonic() < until, container.logs().decode()
            container.reload()
            assert container.status == "running", container.logs().decode()
        assert json.loads(answer.output)["status"] == "ready"
        assert container.exec_run(["id", "-u"]).output.decode().strip() == "10001"
    finally:
        container.remove(force=True)
        client.images.remove(image.id, force=True)
        client.close()
