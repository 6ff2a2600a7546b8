"""Commands on runs that are there: predict with one, show, list, clean, tell the cost of, compare, report, track, count."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from team.options import Json, Out, Run
from team.terminal import clean_json, one_line, print_json

if TYPE_CHECKING:
    from reports.comparison import Comparison


def predict(
    run: Run,
    rows: Annotated[
        str,
        typer.Argument(
            help="The rows to predict: a file, a URL or another source, spelt as for `mlteam run`, such as rows.csv#encoding=cp1252."
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="CSV file that gets one row per input row.")],
    interval: Annotated[
        float | None, typer.Option(metavar="LEVEL", help="Of values: write also low and high, between which such a share lies, as 0.9.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIMES", help="Of survival: write also the chance of no event by each time, as 12,24.")
    ] = None,
    out: Out = Path("runs"),
    sandbox: Annotated[str, typer.Option(help="auto, docker, bubblewrap or unsafe-local.")] = "auto",
) -> None:
    """Predict new rows with a run's packaged model.

    Options behind a # say how ROWS is to be read (docs/data.md). What they leave open is read as the run's source was, where that fits.
    """
    from team.predict import predict as predict_rows
    from team.predict import read_times
    from team.rundir import open_run

    def tell(note: str) -> None:
        print(f"mlteam: {one_line(note)}", file=sys.stderr)

    times = None if at is None else read_times(at)
    count = predict_rows(open_run(run, out), rows, output, sandbox=sandbox, interval=interval, at=times, tell=tell)
    print(f"{count} rows predicted to {output}", file=sys.stderr)


def show(run: Run = "last", out: Out = Path("runs"), as_json: Json = False) -> None:
    """Show how a run went."""
    from team.overview import overview
    from team.rundir import open_run
    from team.summary import read_summary

    summary = read_summary(open_run(run, out))
    if as_json:
        print_json(summary)
    else:
        print(overview(summary))


def runs(out: Out = Path("runs"), as_json: Json = False) -> None:
    """List the runs with state, score and size, the newest first."""
    from team.inventory import list_entries
    from team.overview import listing

    entries = list_entries(out)
    if as_json:
        print_json([entry.model_dump(mode="json") for entry in entries])
    else:
        print(listing(entries, out, _width()))


def clean(
    out: Out = Path("runs"),
    keep: Annotated[int, typer.Option(min=0, help="How many of the newest runs are kept as they are.")] = 5,
    downloads: Annotated[bool, typer.Option("--downloads", help="The cache of downloads too; runs keep what they fetched.")] = False,
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
    cleaning = plan_cleaning(out, keep, downloads=downloads)
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
        print_json(cleaning.model_dump(mode="json"))
    else:
        print(cleaning_report(cleaning))
    if any(plan.problem for plan in cleaning.runs):
        raise MlteamError("not everything could be removed; the lines marked `left` say what and why.")


def _width() -> int:
    """Columns of the terminal; plenty where there is none."""
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000


def cost(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="RUN", help="Run directories, beginnings of their names, or `last`; left out, all.")
    ] = None,
    by: Annotated[str, typer.Option(metavar="WHAT", help="role, stage, run, day or model.")] = "run",
    out: Out = Path("runs"),
    as_json: Json = False,
) -> None:
    """Tell what runs took: calls and tokens of models, dollars, hours of processors, graphics processors and memory.

    A price that nobody knows is told as unknown, and a sum that such calls are left out of as "at least". A fork is charged for what it
    took itself.
    """
    from team.cost_view import print_costs, read_costs
    from team.rundir import list_runs, open_run

    asked = [open_run(run, out) for run in runs] if runs else list_runs(out)
    if not asked and not as_json:
        print(f"no runs in {str(out)!r} yet. `mlteam run FILE.csv --target COLUMN` makes one.")
        return
    table, left_out = read_costs(asked, by, whole=bool(runs))
    if as_json:
        print(clean_json(table.model_dump_json(indent=1)))
    else:
        print_costs(table, sys.stdout)
    for name, why in left_out:
        print(f"mlteam: {name} is left out: {why}", file=sys.stderr)


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


def report(
    run: Run = "last",
    only: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="html, paper, card, notebook, notebooks, summary or data; all but data by default."),
    ] = None,
    out: Out = Path("runs"),
) -> None:
    """Build a run's documents again and print where they are: report, white paper, model card, summary and notebooks.

    Of a run that is not finished, or whose record is damaged, they tell what is known; what is wrong is said, and the exit code is 1.
    """
    from team.documents import DOCUMENTS, rebuild
    from team.errors import MlteamError, PrerequisiteMissing, UsageError
    from team.rundir import open_run

    wanted = next((name for name in DOCUMENTS if name == only), None)
    if only is not None and wanted is None:
        raise UsageError(f"there is no document {only!r}, expected one of {', '.join(DOCUMENTS)}. Leave --only out for all of them.")
    written = rebuild(open_run(run, out), wanted)
    for path in written.paths:
        print(path)
    if written.problems:
        raise MlteamError("\n".join([*written.problems, *([written.unset] if written.unset else [])]))
    if written.unset and wanted:
        raise PrerequisiteMissing(written.unset)
    if written.unset:
        print(f"no PDF of the paper: {written.unset}", file=sys.stderr)


def replay(
    run: Run = "last",
    tolerance: Annotated[float, typer.Option(min=0, help="How far a score may be off, as a share of it.")] = 1e-6,
    slack: Annotated[float, typer.Option(min=1, help="How many times its recorded time a search may take.")] = 2.0,
    sandbox: Annotated[str, typer.Option(help="auto, docker, bubblewrap or unsafe-local.")] = "auto",
    out: Out = Path("runs"),
    as_json: Json = False,
) -> None:
    """Do a run again from its record, in a clean sandbox, and tell which scores agree and what differs.

    The data must have the hash on record. Nothing of the run is changed, and the holdout is not looked at: of the sealed rows the
    predictions are compared. The exit code is 1 where something did not come again.
    """
    from team.repeating import check, repeat, told
    from team.rundir import open_run

    found = repeat(open_run(run, out), sandbox=sandbox, tolerance=tolerance, slack=slack)
    if as_json:
        print_json(found.model_dump(mode="json") | {"agrees": found.agrees})
    else:
        from team.terminal import clean

        print(clean(told(found)))
    check(found)


def track(
    run: Run = "last",
    tracker: Annotated[
        str | None, typer.Option(metavar="LIST", help="Where to: an MLflow server's URI, wandb, tensorboard; left out, those that wait.")
    ] = None,
    out: Out = Path("runs"),
    as_json: Json = False,
) -> None:
    """Send a run to its trackers, when they were down. Sending it again changes nothing."""
    from team.overview import tracking
    from team.rundir import open_run
    from team.tracking import track as send

    sent = send(open_run(run, out), tracker)
    if as_json:
        print_json(sent)
    else:
        print(tracking(sent))


def metrics(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Run directory, the beginning of its name, or `last`; left out, every run of --out.")
    ] = None,
    out: Out = Path("runs"),
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write to this file instead, whole or not at all.")
    ] = None,
) -> None:
    """Print the metrics of runs as Prometheus reads them, from their logs: of finished ones, and of those that are going on.

    A run whose log cannot be read to its end counts as damaged; the others are told all the same, and the exit code is 1.
    """
    from team.errors import MlteamError, UsageError
    from team.exposition import families, read_metrics, text
    from team.rundir import list_runs, open_run, write_atomic

    read = [read_metrics(one) for one in ([open_run(run, out)] if run is not None else list_runs(out))]
    if not read:
        raise UsageError(f"there is no run in {str(out)!r}. Make one with mlteam run, or name another folder with --out DIR.")
    exposition = text(lambda: families([found for found, _ in read]))
    if output is None:
        print(exposition, end="")
    else:
        try:
            write_atomic(output, exposition)
        except OSError as error:
            raise UsageError(f"cannot write {str(output)!r}: {error.strerror or error}. Name another file with -o FILE.") from None
    if problems := [problem for _, problem in read if problem]:
        raise MlteamError("\n".join(problems))
