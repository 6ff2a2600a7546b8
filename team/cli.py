"""The command line: parse, call, print. Progress goes to stderr, results to stdout."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from team.sandbox_cli import app as sandbox_app
from tools.contract import Task

if TYPE_CHECKING:
    from reports.comparison import Comparison

app = typer.Typer(
    name="mlteam",
    help="A team of language-model roles that does a whole machine-learning experiment, honestly.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(sandbox_app, name="sandbox")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Out = Annotated[Path, typer.Option("--out", help="Folder of the run directories.")]
Run = Annotated[str, typer.Argument(help="Run directory, the beginning of its name, or `last`.")]


@app.command()
def run(
    source: Annotated[str, typer.Argument(help="CSV or Parquet file, http(s) URL, or sklearn:NAME.")],
    target: Annotated[str | None, typer.Option(help="Column to predict; left out, the team chooses.")] = None,
    task: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"Problem type: {', '.join(get_args(Task))}; left out, the target's values say.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(metavar="LOW,MID,HIGH", help="Order of an ordinal target's classes; left out, that of numbers.")
    ] = None,
    event: Annotated[str | None, typer.Option(help="Of survival: the column that is 1 where the event happened, 0 if censored.")] = None,
    goal: Annotated[str | None, typer.Option(help="The wish in your own words.")] = None,
    metric: Annotated[str | None, typer.Option(help="Metric that decides; left out, the usual one of the problem type.")] = None,
    time: Annotated[str | None, typer.Option(help="Time for the search, such as 60s, 10m, 1h.  [default: 10m]")] = None,
    trials: Annotated[int | None, typer.Option(help="Tuning trials in all, so that equal seeds give equal results.")] = None,
    model: Annotated[str | None, typer.Option(help="Model of the roles: playbook, or openai:MODEL[@URL].  [default: playbook]")] = None,
    sandbox: Annotated[str | None, typer.Option(help="auto, docker, bubblewrap or unsafe-local.  [default: auto]")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder that gets the run directory.  [default: runs]")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of splits and estimators.  [default: 0]")] = None,
    holdout: Annotated[float | None, typer.Option(help="Share of the rows that is sealed.  [default: 0.2]")] = None,
    folds: Annotated[
        str | None, typer.Option(help="Cross-validation folds; loo leaves each row, or group, out alone.  [default: 5]")
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(help="kfold, stratified, group, time, loo, repeated or nested; left out, what fits the split.  [default: none]"),
    ] = None,
    repeats: Annotated[int | None, typer.Option(help="How often the rows are dealt to folds anew.  [default: 1]")] = None,
    window: Annotated[str | None, typer.Option(help="Folds in order of time learn from an expanding or a sliding window.")] = None,
    gap: Annotated[str | None, typer.Option(help="Time between what is learned from and what is predicted, such as 7d.")] = None,
    group: Annotated[str | None, typer.Option(help="Column whose values must stay on one side of a split.")] = None,
    time_column: Annotated[str | None, typer.Option(help="Column that orders the rows in time.")] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="Most milliseconds that the model may take for a single row.")] = None,
    max_size_mb: Annotated[float | None, typer.Option(help="Most MB that the saved model may take.")] = None,
    interpretable: Annotated[bool | None, typer.Option("--interpretable", help="Only linear models and single trees, no blend.")] = None,
    monotone: Annotated[
        str | None, typer.Option(metavar="COL:+,...", help="Columns with which the prediction may only rise (+) or fall (-).")
    ] = None,
    families: Annotated[str | None, typer.Option(metavar="A,B", help="The only model families that may be fitted.")] = None,
    forbid: Annotated[str | None, typer.Option(metavar="COL,...", help="Columns that no model may see.")] = None,
    sensitive: Annotated[str | None, typer.Option(metavar="COL", help="Column whose groups are compared, for fairness.")] = None,
    series: Annotated[str | None, typer.Option(help="Forecast: columns that together name a series, with commas.")] = None,
    horizon: Annotated[int | None, typer.Option(help="Forecast: steps ahead; left out, what is usual for the frequency.")] = None,
    known: Annotated[str | None, typer.Option(help="Forecast: columns that are known ahead, with commas.")] = None,
    sampler: Annotated[str | None, typer.Option(help="What tuning asks for next: tpe, random, grid or nsga2.  [default: tpe]")] = None,
    pruner: Annotated[
        str | None, typer.Option(help="What ends trials early: median, hyperband, successive_halving or none.  [default: median]")
    ] = None,
    objectives: Annotated[
        str | None, typer.Option(metavar="NAMES", help="What tuning weighs: score, and latency or size after a comma.  [default: score]")
    ] = None,
    preparers: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Transformers of installed packages, fitted inside each fold; commas between them.")
    ] = None,
    tracker: Annotated[
        str | None, typer.Option(metavar="URI", help="MLflow server that gets the run too, or none.  [default: MLFLOW_TRACKING_URI]")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with settings.")] = None,
    as_json: Json = False,
) -> None:
    """From a dataset to a model, a report and a score on rows that nobody has seen."""
    # Every option but these two is a setting of the same name.
    given = {name: value for name, value in locals().items() if name not in ("config", "as_json")}
    from team.settings import load_settings

    settings = load_settings(given, config)
    from team.console import LiveView
    from team.errors import MlteamError
    from team.run import start

    try:
        with LiveView(sys.stderr) as view:
            summary = start(settings, [view])
    except MlteamError as error:
        if as_json:
            _print_json({"run": None, "status": "failed", "reason": str(error), "exit_code": error.exit_code})
        raise
    if as_json:
        _print_json(summary)
    else:
        from team.overview import overview

        print(overview(summary))


@app.command()
def resume(
    run: Run,
    out: Out = Path("runs"),
    sandbox: Annotated[str | None, typer.Option(help="Another sandbox from here on: auto, docker, bubblewrap or unsafe-local.")] = None,
    as_json: Json = False,
) -> None:
    """Go on with a run that was stopped, killed or failed."""
    from team.console import LiveView
    from team.run import resume as take_up
    from team.rundir import open_run

    found = open_run(run, out)
    with LiveView(sys.stderr) as view:
        summary = take_up(found, sandbox=sandbox, subscribers=[view])
    if as_json:
        _print_json(summary)
    else:
        from team.overview import overview

        print(overview(summary))


@app.command()
def fork(
    run: Run,
    at: Annotated[str, typer.Option(help="Number of turns that had ended, or a stage: where it was entered.")],
    changes: Annotated[list[str] | None, typer.Option("--set", help="A setting that is to differ, such as time=5m.")] = None,
    out: Out = Path("runs"),
    as_json: Json = False,
) -> None:
    """Start a new run from a step of another, with other settings, sharing what both only read."""
    import yaml

    from team.console import LiveView
    from team.errors import UsageError
    from team.forking import fork as make
    from team.run import go_on
    from team.rundir import open_run

    given = {}
    for change in changes or []:
        name, equals, value = change.partition("=")
        if not equals:
            raise UsageError(f"--set {change!r}: expected NAME=VALUE.")
        given[name.strip()] = yaml.safe_load(value)
    made, cut_off = make(open_run(run, out), at, given)
    with LiveView(sys.stderr) as view:
        summary = go_on(made, cut_off, subscribers=[view])
    if as_json:
        _print_json(summary)
    else:
        from team.overview import overview

        print(overview(summary))


@app.command()
def predict(
    run: Run,
    rows: Annotated[Path, typer.Argument(help="CSV or Parquet file with the rows to predict.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="CSV file that gets one row per input row.")],
    interval: Annotated[
        float | None, typer.Option(metavar="LEVEL", help="Of values: write also low and high, between which such a share lies, as 0.9.")
    ] = None,
    out: Out = Path("runs"),
    sandbox: Annotated[str, typer.Option(help="auto, docker, bubblewrap or unsafe-local.")] = "auto",
) -> None:
    """Predict new rows with a run's packaged model."""
    from team.predict import predict as predict_rows
    from team.rundir import open_run

    count = predict_rows(open_run(run, out), rows, output, sandbox=sandbox, interval=interval)
    print(f"{count} rows predicted to {output}", file=sys.stderr)


@app.command()
def show(run: Run = "last", out: Out = Path("runs"), as_json: Json = False) -> None:
    """Show how a run went."""
    from team.overview import overview
    from team.rundir import open_run
    from team.summary import read_summary

    summary = read_summary(open_run(run, out))
    if as_json:
        _print_json(summary)
    else:
        print(overview(summary))


@app.command()
def runs(out: Out = Path("runs"), as_json: Json = False) -> None:
    """List the runs with state, score and size, the newest first."""
    from team.inventory import list_entries
    from team.overview import listing

    entries = list_entries(out)
    if as_json:
        _print_json([entry.model_dump(mode="json") for entry in entries])
    else:
        print(listing(entries, out, _width()))


@app.command()
def clean(
    out: Out = Path("runs"),
    keep: Annotated[int, typer.Option(min=0, help="How many of the newest runs are kept as they are.")] = 5,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before removing.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and remove nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Free room: what can be rebuilt, and runs that failed before they had a model.

    Of runs older than the newest, reports, notebooks, plots, studies and copies go; `mlteam report` builds a report again. Runs that
    failed or were interrupted before they had a model or a score go whole. What was released, its events, contract, vault and ledger
    stay, and a run that is going on is not touched.
    """
    from team.cleaning import clean as carry_out
    from team.cleaning import plan_cleaning
    from team.errors import MlteamError, UsageError
    from team.overview import cleaning_report

    if yes and dry_run:
        raise UsageError("--yes and --dry-run exclude each other. Leave one out.")
    cleaning = plan_cleaning(out, keep)
    asked = bool(cleaning.bytes) and not dry_run
    if asked and not yes and not sys.stdin.isatty():
        raise UsageError(
            f"cleaning {str(out)!r} must be confirmed, and there is no terminal to ask on. Add --yes, or look first with --dry-run."
        )
    if asked:
        if not yes:
            print(cleaning_report(cleaning), file=sys.stderr)
            if not typer.confirm("Remove this?", err=True):
                print("nothing was removed.", file=sys.stderr)
                return
        cleaning = carry_out(cleaning)
    if as_json:
        _print_json(cleaning.model_dump(mode="json"))
    else:
        print(cleaning_report(cleaning))
    if any(plan.problem for plan in cleaning.runs):
        raise MlteamError("not everything could be removed; the lines marked `left` say what and why.")


def _width() -> int:
    """Columns of the terminal; plenty where there is none."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000


@app.command()
def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN", help="Two or more: run directories, beginnings of their names, or `last`.")],
    out: Out = Path("runs"),
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write an HTML page to this file as well.")] = None,
    as_json: Json = False,
) -> None:
    """Compare runs: settings, scores with paired tests, cost, and what each did differently.

    Scores are comparable when data, target, metric and split are the same. Where they are not, everything else is still shown, and the
    exit code is 2.
    """
    from team.comparison import compare as compare_runs
    from team.errors import UsageError
    from team.rundir import open_run

    comparison = compare_runs([open_run(run, out) for run in runs])
    if html is not None:
        _write_page(comparison, html)
    if as_json:
        from team.terminal import clean_json

        print(clean_json(comparison.model_dump_json(indent=1)))
    else:
        from team.comparison_view import print_comparison

        print_comparison(comparison, sys.stdout)
    if not comparison.comparable:
        raise UsageError(f"the scores of these runs cannot be compared. {'. '.join(comparison.why)}. Leave out what differs.")


def _write_page(comparison: Comparison, path: Path) -> None:
    from reports.comparison_html import write_comparison
    from team.errors import UsageError

    if path.is_dir():
        raise UsageError(f"{str(path)!r} is a directory, expected a file name. Name one with --html FILE.")
    try:
        print(f"page written to {write_comparison(comparison, path)}", file=sys.stderr)
    except OSError as error:
        raise UsageError(f"cannot write {str(path)!r}: {error.strerror or error}. Name another file with --html FILE.") from None


@app.command()
def report(run: Run = "last", out: Out = Path("runs")) -> None:
    """Build a run's report and notebook again and print where they are."""
    from reports.html import write_report
    from reports.notebook import write_notebook
    from team.rundir import open_run

    found = open_run(run, out)
    print(write_report(found.path))
    print(write_notebook(found.path))


@app.command()
def track(
    run: Run = "last",
    tracker: Annotated[str | None, typer.Option(metavar="URI", help="MLflow server; left out, the one that the record waits for.")] = None,
    out: Out = Path("runs"),
    as_json: Json = False,
) -> None:
    """Send a run to its tracking server, when that was down. Sending it again changes nothing."""
    from team.overview import tracking
    from team.rundir import open_run
    from team.tracking import track as send

    sent = send(open_run(run, out), tracker)
    if as_json:
        _print_json(sent)
    else:
        print(tracking(sent))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check what works on this machine and say how to get what does not."""
    from team.doctor import check, describe

    checks = check()
    if as_json:
        _print_json([c.__dict__ for c in checks])
    else:
        print(describe(checks))
    if not all(c.works for c in checks if c.needed):
        raise typer.Exit(4)


@app.command()
def tools(as_json: Json = False) -> None:
    """List the tools of the team."""
    from team.overview import tool_listing, tool_schemas

    if as_json:
        _print_json(tool_schemas())
    else:
        print(tool_listing())


def _print_json(document: Any) -> None:
    from team.terminal import clean_json

    print(clean_json(json.dumps(document, indent=1, ensure_ascii=False)))


def main(arguments: list[str] | None = None) -> None:
    """Entry point: every expected failure is one message and its exit code, never a traceback.

    Args:
        arguments: what follows `mlteam`; None takes the process's own.
    """
    from team.errors import MlteamError
    from team.terminal import clean

    try:
        code = app(arguments, standalone_mode=False)
    except MlteamError as error:
        print(f"mlteam: {clean(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except typer.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        print("mlteam: stopped.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader went away, as `mlteam runs | head` does; there is nobody left to tell.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        what = clean(repr(error.filename)) if error.filename else "what this command writes"
        print(f"mlteam: cannot use {what}: {error.strerror}. Make room or make it writable, then type the command again.", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        print(f"mlteam: {clean(error.format_message())} `mlteam --help` lists the commands.", file=sys.stderr)
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
