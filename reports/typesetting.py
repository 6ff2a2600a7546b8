"""From a folder with `paper.tex` to a PDF, by latexmk, where LaTeX is installed.

pdfTeX and not LuaTeX: it has no scripting language, so that with the shell escape off and reading and writing bound to its own folder
("paranoid") the text that it sets can reach nothing, whatever the data put into it; it is small and quick, and needs no font cache.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from team.errors import MlteamError, PrerequisiteMissing

NEEDED = "latexmk texlive-latex-recommended lmodern"
INSTALL = f"apt-get install --no-install-recommends {NEEDED} (elsewhere: TeX Live or MiKTeX with latexmk)"
TIMEOUT_S = 180
_OVERFULL = re.compile(r"^Overfull \\[hv]box \((\d+(?:\.\d+)?)pt too (?:wide|high)\)", re.MULTILINE)


class TypesettingFailed(MlteamError):
    """LaTeX could not set the paper; the message has its first complaint."""


def missing_programs() -> list[str]:
    """What a paper is set with and is not installed."""
    return [name for name in ("latexmk", "pdflatex", "bibtex") if shutil.which(name) is None]


def typeset(folder: Path, output: Path, epoch: int) -> float:
    """Set `paper.tex` of `folder` and write the PDF to `output`.

    Args:
        epoch: seconds that stand for now, so that the same text gives the same bytes.

    Returns:
        By how many points the worst overfull box sticks out.

    Raises:
        PrerequisiteMissing: where latexmk or pdflatex is not installed, with what to install.
        TypesettingFailed: when LaTeX gives up, or takes longer than three minutes.
    """
    if missing := missing_programs():
        raise PrerequisiteMissing(f"no {', '.join(missing)} here, so {folder / 'paper.tex'} is not set. Type: {INSTALL}")
    with tempfile.TemporaryDirectory(prefix="mlteam-paper-") as scratch:
        place = Path(scratch) / "paper"
        shutil.copytree(folder, place)
        (Path(scratch) / "home").mkdir()
        told = _latexmk(place, Path(scratch) / "home", epoch)
        made = place / "paper.pdf"
        log = (place / "paper.log").read_text(encoding="utf-8", errors="replace") if (place / "paper.log").exists() else told
        if not made.exists() or "\n! " in log:
            first = re.search(r"^! .*(?:\n(?!l\.).*){0,4}(?:\nl\.\d+.*)?", log, re.MULTILINE)
            raise TypesettingFailed(f"LaTeX cannot set {folder / 'paper.tex'}: {first[0] if first else told[-400:]}")
        shutil.copyfile(made, output)
    return max((float(points) for points in _OVERFULL.findall(log)), default=0.0)


def _latexmk(place: Path, home: Path, epoch: int) -> str:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "openin_any": "p",
        "openout_any": "p",
        "shell_escape": "f",
        "max_print_line": "1000",
        "SOURCE_DATE_EPOCH": str(epoch),
        "FORCE_SOURCE_DATE": "1",
    }
    options = ["-norc", "-pdf", "-interaction=nonstopmode", "-halt-on-error", "-latexoption=-no-shell-escape"]
    try:
        done = subprocess.run(
            ["latexmk", *options, "paper.tex"],
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TypesettingFailed(f"LaTeX took longer than {TIMEOUT_S} s over {place.name}/paper.tex") from None
    return done.stdout.decode("utf-8", errors="replace")
