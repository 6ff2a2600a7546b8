"""The documents of a run: all of them, or one, written from its directory, however far it came and whatever became of its files."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from pydantic import TypeAdapter, ValidationError

from team.errors import MlteamError, PrerequisiteMissing
from team.events import SCHEMA_VERSION, FellBack, RunEnded, RunStarted, ToolReturned
from team.later import known_contract, later_version, read_known
from team.log import EventLog, mend, read_events
from team.rundir import RunDir
from team.versions import versions
from tools.contract import Contract

Document = Literal["html", "paper", "card", "notebook", "summary", "notebooks", "data"]
DOCUMENTS: tuple[Document, ...] = get_args(Document)
OF_A_RUN: tuple[Document, ...] = ("html", "notebook", "card", "summary")
"""Those that a run writes at its end; the paper takes LaTeX and is written when it is asked for."""
ON_DEMAND: tuple[Document, ...] = ("data",)
"""Those that are written where they are named alone: it holds rows of the table, and takes some seconds."""
_MADE_OF_JSON = ("contract.json", "manifest.json", "plan.json", "sections.json")


class Written(NamedTuple):
    paths: list[Path]
    problems: list[str]
    unset: str = ""
    """Why the paper is there as LaTeX alone."""


def write_documents(run: RunDir) -> list[str]:
    """The documents of a run once more, now that everything that happened is in the log.

    Returns:
        What could not be written and how to try again: the run has ended as its summary says, its views can be built again.
    """
    return [f"{problem} Type: mlteam report {run.path}" for problem in _write(run, OF_A_RUN).problems]


def rebuild(run: RunDir, only: Document | None = None) -> Written:
    """Write the documents of a run again, each for itself.

    What is damaged, or was written by a later version in words that this one does not know, is passed over, and told in the documents and
    in the problems.

    Raises:
        MlteamError: where there is nothing to tell of.
    """
    wanted = (only,) if only else tuple(name for name in DOCUMENTS if name not in ON_DEMAND)
    damage = _damage(run)
    if not damage:
        written = _write(run, wanted)
    else:
        with _good_part(run, damage) as view:
            made = _write(view, wanted)
            written = made._replace(paths=[run.path / path.relative_to(view.path) for path in made.paths])
    return written._replace(problems=[*damage, *_missing(run), *written.problems])


def _write(run: RunDir, wanted: tuple[Document, ...]) -> Written:
    paths: list[Path] = []
    problems: list[str] = []
    unset = ""
    for name in wanted:
        try:
            paths += _WRITERS[name](run.path)
        except _Unset as error:
            paths.append(error.tex)
            unset = str(error)
        except MlteamError as error:
            problems.append(f"no {name}: {error}")
        except Exception as error:  # one document that fails must not cost the others, nor the run that is done
            problems.append(f"no {name}: {type(error).__name__}: {error}.")
    return Written(paths, problems, unset)


class _Unset(PrerequisiteMissing):
    """The paper is written and not set."""

    def __init__(self, tex: Path, problem: str) -> None:
        self.tex = tex
        super().__init__(problem)


def _html(run: Path) -> list[Path]:
    from reports.html import write_report

    return [write_report(run)]


def _notebook(run: Path) -> list[Path]:
    from reports.notebook import write_notebook

    return [write_notebook(run)]


def _notebooks(run: Path) -> list[Path]:
    from reports.candidate_notebooks import write_candidate_notebooks

    written = write_candidate_notebooks(run)
    return [written] if written else []


def _card(run: Path) -> list[Path]:
    from reports.model_card import write_card

    return [write_card(run)]


def _summary(run: Path) -> list[Path]:
    from reports.experiment_summary import write_summary

    return [write_summary(run)]


def _data(run: Path) -> list[Path]:
    from reports.exploration import write_exploration

    return [write_exploration(run)]


def _paper(run: Path) -> list[Path]:
    from reports.white_paper import write_paper

    paper = write_paper(run)
    if paper.pdf is None:
        raise _Unset(paper.tex, paper.problem)
    return [paper.tex, paper.pdf]


_WRITERS: dict[Document, Callable[[Path], list[Path]]] = {
    "html": _html,
    "paper": _paper,
    "card": _card,
    "notebook": _notebook,
    "notebooks": _notebooks,
    "summary": _summary,
    "data": _data,
}


def _damage(run: RunDir) -> list[str]:
    """What of the record cannot be read, in words."""
    found = _later(run) or _damaged_lines(run)
    for name in _MADE_OF_JSON:
        path = run.path / name
        try:
            if path.exists():
                _check(name, json.loads(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            if not any(name in line for line in found):
                found.append(_otherwise(path, error))
        except (OSError, ValueError) as error:
            found.append(f"{name} cannot be read ({error}); it is passed over")
    return found or _unbacked_prose(run)


def _check(name: str, document: Any) -> None:
    """Raise ValidationError where a file is good JSON and not what its name says."""
    from reports.findings import Plan
    from reports.record import Manifest

    shapes: dict[str, Any] = {"contract.json": Contract, "manifest.json": Manifest, "plan.json": Plan, "sections.json": dict[str, str]}
    TypeAdapter(shapes[name]).validate_python(document)


def _otherwise(path: Path, error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"])) or "the whole"
    if path.name == "contract.json" and known_contract(path) is not None:
        return f"{path.name} has fields that this version does not know, such as {where!r}; they are left out"
    return f"{path.name} cannot be read ({where}: {first['msg']}); it is passed over"


def _damaged_lines(run: RunDir) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="mlteam-log-") as scratch:
        copy = Path(scratch) / run.events.name
        shutil.copyfile(run.events, copy)
        return mend(copy)


def _later(run: RunDir) -> list[str]:
    """What a run of a later version holds that this one cannot read; empty for any other run."""
    if (version := later_version(run.events)) is None:
        return []
    unread = run.contract.exists() and known_contract(run.contract) is None
    contract = [f"{run.contract.name} cannot be read (it is of a version that this one does not know); it is passed over"] if unread else []
    return [read_known(run.events, version).told, *contract]


def _unbacked_prose(run: RunDir) -> list[str]:
    """Whether the prose states what nothing on record holds though nobody is at fault: lines are gone from the end of the log, or an
    earlier version wrote it, which knew other figures. In a run of this version it is a fault, and the documents fail and name it."""
    from reports.ledger import read_ledger

    if not run.sections.exists():
        return []
    events = list(read_events(run.events))
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    ended = any(isinstance(event, RunEnded) for event in events)
    writer = started.versions.get("mlteam", "") if started else ""
    earlier = started is not None and (started.schema_version < SCHEMA_VERSION or writer not in ("", versions().get("mlteam", "")))
    if ended and not earlier:
        return []
    ledger = read_ledger(run.path)
    if all(not ledger.unbacked(str(text)) for text in json.loads(run.sections.read_text(encoding="utf-8")).values()):
        return []
    # No figure is named here: the documents put these words on record, where it would back itself.
    why = "an earlier mlteam wrote this run" if ended else "the end of events.jsonl is gone"
    return [f"{why}: the prose states what nothing on record backs; such sentences are left out"]


def _missing(run: RunDir) -> list[str]:
    """What a good log speaks of and the directory has no more."""
    try:
        done = {event.tool for event in read_events(run.events) if isinstance(event, ToolReturned) and event.status == "ok"}
    except MlteamError:
        return []
    parts = (
        ("seal_holdout", run.contract, "the documents do not know what was asked of the table"),
        ("seal_holdout", run.data / "train.parquet", "what is worked out from training rows, such as charts of errors, is left out"),
        ("evaluate", run.work / "candidates", "what is worked out from predictions, such as charts of errors, is left out"),
        ("package_model", run.model, "the documents tell of a model that `mlteam predict` does not find"),
    )
    return [f"{path} is gone: {what}" for tool, path, what in parts if tool in done and not _there(path)]


def _there(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.exists()


@contextmanager
def _good_part(run: RunDir, damage: list[str]) -> Iterator[RunDir]:
    """A view of the run without what is damaged, which the documents tell as something that the run went on without."""
    run.reports.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mlteam-view-") as scratch:
        view = RunDir(Path(scratch) / run.path.resolve().name)
        view.path.mkdir()
        told = " ".join(damage)
        for entry in run.path.resolve().iterdir():
            if entry.name not in (run.events.name, run.notebook.name, run.notebooks.name) and f"{entry.name} cannot be read" not in told:
                (view.path / entry.name).symlink_to(entry)
        shutil.copyfile(run.events, view.events)
        if (version := later_version(run.events)) is not None:
            view.events.write_bytes(b"".join(line + b"\n" for line in read_known(run.events, version).lines))
        if view.contract.is_symlink() and (contract := known_contract(run.contract)) is not None:
            view.contract.unlink()
            view.contract.write_text(contract.model_dump_json(), encoding="utf-8")
        mend(view.events)
        log = EventLog(view.events)
        for line in damage:
            log.append(FellBack(stage="report", role="report", what="the record of the run", reason=line))
        log.close()
        _keep_backed_prose(view)
        yield view
        if view.notebook.is_file():
            shutil.copyfile(view.notebook, run.notebook)
        if view.notebooks.is_dir():
            shutil.copytree(view.notebooks, run.notebooks, dirs_exist_ok=True)


def _keep_backed_prose(view: RunDir) -> None:
    """Take the sentences out of the view whose figures stood in what is lost."""
    from reports.ledger import read_ledger

    if not view.sections.exists():
        return
    ledger = read_ledger(view.path)
    sections = {slot: ledger.without_unbacked(str(text)) for slot, text in json.loads(view.sections.read_text(encoding="utf-8")).items()}
    view.sections.unlink()
    view.sections.write_text(json.dumps({slot: text for slot, text in sections.items() if text}), encoding="utf-8")
