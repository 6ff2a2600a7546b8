"""The image's own check passes where it should, and sees what is wrong with an image."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from team.sandbox.daemon import connect
from team.sandbox.image import find

pytestmark = [pytest.mark.docker, pytest.mark.slow]

SMOKE = "/mlteam/venv/bin/python /mlteam/image/smoke.py"


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    client = connect()
    yield client
    client.close()


def run(client: docker.DockerClient, **options: object) -> tuple[int, dict[str, str]]:
    """Run a container of the current image; returns its exit code and the verdict of every check."""
    current = find(client).current
    assert current is not None
    container = client.containers.create(current, network_mode="none", **options)  # type: ignore[arg-type]
    try:
        container.start()
        code = container.wait(timeout=300)["StatusCode"]
        lines = container.logs().decode().splitlines()
    finally:
        container.remove(force=True)
    return code, {line[6:20].strip(): line[:4].strip() for line in lines}


def test_an_image_without_fault_passes(client: docker.DockerClient) -> None:
    code, verdicts = run(client, read_only=True, tmpfs={"/tmp": ""}, cap_drop=["ALL"])
    assert code == 0
    assert set(verdicts.values()) == {"ok"}
    assert verdicts.keys() >= {"distributions", "tools", "kernel", "fit lightgbm", "fit xgboost", "fit catboost", "png", "no setuid"}


def test_what_is_wrong_is_seen(client: docker.DockerClient) -> None:
    broken = "chmod u+s /usr/bin/env && rmdir /mlteam/home && sed -i s/joblib==./joblib==0/ /mlteam/image/requirements.lock"
    broken += " && rm -r /mlteam/venv/lib/python3*/site-packages/catboost && echo 'import nothing' >> /mlteam/code/tools/show.py"
    code, verdicts = run(client, user="0:0", command=["sh", "-c", f"{broken} && rm -r /mlteam/code/tools/__pycache__ && {SMOKE}"])
    assert code == 1
    failed = {name for name, verdict in verdicts.items() if verdict == "FAIL"}
    assert failed == {"distributions", "imports", "fit catboost", "tools", "kernel", "folders", "no root", "no setuid", "read only"}
    assert verdicts["fit lightgbm"] == "ok"
