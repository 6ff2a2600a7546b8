"""A `git` in front of the real one that kills its caller before or after a command: death at a moment that a test names."""

from __future__ import annotations

import shutil
from pathlib import Path

_PROGRAM = """#!/bin/sh
case " $* " in *" {command} "*) strikes={when};; *) strikes=never;; esac
[ $strikes = before ] && kill -9 $PPID && exit 1
"{git}" "$@"
ended=$?
[ $strikes = after ] && kill -9 $PPID
exit $ended
"""


def striking_git(folder: Path, when: str, command: str) -> Path:
    """A folder for the front of the PATH.

    Args:
        when: `before` or `after`.
        command: of git, such as `push`.
    """
    folder.mkdir(parents=True)
    program = folder / "git"
    program.write_text(_PROGRAM.format(command=command, when=when, git=shutil.which("git")))
    program.chmod(0o755)
    return folder
