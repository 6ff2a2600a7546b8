from __future__ import annotations

from pathlib import Path

import pytest

from team.errors import PrerequisiteMissing
from team.sandbox.contract import Kind
from team.sandbox.graphics import gpus_for
from tools import device


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /dev."""
    monkeypatch.setattr(device, "FOLDER", tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", ["docker", "bubblewrap", "unsafe-local"])
def test_cuda_on_a_machine_without_a_processor_is_refused_with_what_was_looked_for(kind: Kind) -> None:
    with pytest.raises(PrerequisiteMissing, match=r"looked for .*nvidia\[0-9\]\*.*dxg.*--device auto") as refused:
        gpus_for("cuda", 0, kind)
    assert refused.value.exit_code == 4


def test_cuda_gives_docker_all_processors_or_the_number_of_the_settings(folder: Path) -> None:
    (folder / "nvidia0").touch()
    assert gpus_for("cuda", 0, "docker") == -1
    assert gpus_for("cuda", 2, "docker") == 2
    assert gpus_for("cuda", 0, "unsafe-local") == 0, "it sees what the machine has"
    with pytest.raises(PrerequisiteMissing, match=r"bubblewrap sandbox shows no.*--sandbox docker"):
        gpus_for("cuda", 0, "bubblewrap")


def test_without_cuda_docker_gets_what_its_settings_say_and_none_for_the_processor() -> None:
    assert [gpus_for("auto", n, "docker") for n in (0, 1, -1)] == [0, 1, -1]
    assert gpus_for("cpu", 1, "docker") == 0
