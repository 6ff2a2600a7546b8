from __future__ import annotations

import subprocess
import sys

import pytest

from team.errors import PrerequisiteMissing, UsageError
from team.sandbox.choose import Report, choose, report

WITHOUT_BWRAP = """
import sys
from team.errors import SandboxUnavailable
from team.sandbox.choose import choose, report
print(choose("auto", trusted_code=True))
print(report())
for kind in ("auto", "bubblewrap"):
    try:
        choose(kind, trusted_code=False)
    except SandboxUnavailable as error:
        print(error.exit_code, error)
"""


def run(code: str, path: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True, env={"PATH": path})
    return done.stdout


def test_without_bubblewrap_only_trusted_code_runs_and_the_fix_is_named() -> None:
    chosen, reported, auto, named = run(WITHOUT_BWRAP, "/nowhere").splitlines()
    assert "kind='unsafe-local'" in chosen
    assert "not installed" in chosen
    assert "works=False" in reported
    assert auto.startswith("4 no sandbox works here")
    assert "apt-get install bubblewrap" in auto
    assert "apt-get install bubblewrap" in named


@pytest.mark.bubblewrap
def test_auto_takes_what_isolates() -> None:
    assert choose("auto", trusted_code=True).kind == "bubblewrap"
    assert Report("bubblewrap", works=True, why="", fix="") in report()


def test_a_kind_asked_for_by_name_is_taken() -> None:
    assert choose("unsafe-local", trusted_code=False).kind == "unsafe-local"


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="'podman': expected auto, bubblewrap or unsafe-local"):
        choose("podman", trusted_code=True)


def test_a_missing_sandbox_is_a_missing_prerequisite() -> None:
    from team.sandbox import SandboxUnavailable

    assert issubclass(SandboxUnavailable, PrerequisiteMissing)


def test_the_package_is_light_and_lists_its_names() -> None:
    code = (
        "import sys, team.sandbox as s, team.sandbox.choose\n"
        "s.Limits, s.CellResult\n"
        "print('jupyter_client' in sys.modules, 'zmq' in sys.modules, dir(s) == sorted(s.__all__))\n"
        "print([getattr(s, name).__name__ for name in dir(s)] == dir(s))"
    )
    assert run(code, "/usr/bin:/bin").split() == ["False", "False", "True", "True"]
