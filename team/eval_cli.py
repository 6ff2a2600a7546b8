"""`mlteam eval`: systems on the tasks of a suite, each attempt a row that is kept."""

from __future__ import annotations

import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from team.options import Json, LogFormat, MetricsPort, seconds_of
from team.terminal import print_json

if TYPE_CHECKING:
    from evals.harness import Plan

USUAL = "playbook,dummy,linear,lightgbm,catboost"
SUITE_COMMAND = "SUITE"


class SuiteFirst(TyperGroup):
    """A word that is no command of the group is a suite, so that `mlteam eval smoke` and `mlteam eval compare` both read well."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        if not args:
            from evals.suite import shipped
            from team.errors import UsageError

            raise UsageError(
                f"which suite? Expected one of {', '.join(shipped())}, or a YAML file, as in: mlteam eval smoke --time 5s --seeds 1"
            )
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in self.commands and args[0] != SUITE_COMMAND:
            return super().resolve_command(ctx, args)
        return "", self.commands[SUITE_COMMAND], args


app = typer.Typer(
    cls=SuiteFirst,
    help="Try systems on the tasks of a suite, and compare such evals.",
    rich_markup_mode=None,
    no_args_is_help=False,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)


@app.command(SUITE_COMMAND, hidden=True)
def suite(
    name: Annotated[
        str, typer.Argument(metavar="SUITE", help="smoke, classic, robust, openml-amlb, openml-cc18, mle-bench-lite, or a YAML file.")
    ],
    systems: Annotated[
        str | None,
        typer.Option(
            metavar="A,B",
            help="playbook, llm:SPEC, dummy, linear, lightgbm, catboost, autogluon, flaml, mljar, h2o, tpot, aide:SPEC, probes, or a"
            f" YAML file.  [default: {USUAL}]",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="SPEC", help="Language model of a plain `llm` or `aide`, such as openai:MODEL[@URL].")
    ] = None,
    time: Annotated[str, typer.Option(help="Time that a system has for one attempt, such as 60s or 10m.")] = "60s",
    seeds: Annotated[
        int, typer.Option(min=1, max=1000, help="How many seeds, from 0; each splits anew where the source has no split.")
    ] = 3,
    jobs: Annotated[int | None, typer.Option(help="Attempts at a time.  [default: 1, or as many as the engine has room for]")] = None,
    engine: Annotated[str, typer.Option(metavar="WHERE", help="local, or dask://HOST:PORT.")] = "local",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the rows; what is in it is skipped.  [default: mlteam-eval/SUITE]")
    ] = None,
    tasks: Annotated[str | None, typer.Option(metavar="A,B", help="Only these tasks of the suite.")] = None,
    folds: Annotated[int | None, typer.Option(min=1, help="Only so many folds of each task.  [default: all]")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Cores that an attempt may use.")] = 1,
    memory: Annotated[int | None, typer.Option(metavar="MIB", min=64, help="Memory that an attempt may take.  [default: no limit]")] = None,
    grace: Annotated[
        str, typer.Option(help="Time beyond --time before an attempt counts as over budget; it is ended at twice both.")
    ] = "60s",
    jail: Annotated[str, typer.Option(help="bubblewrap, or none: systems then could read what you can, labels among it.")] = "bubblewrap",
    environments: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where virtual environments of rivals are made.  [default: in the cache folder]")
    ] = None,
    metrics_port: MetricsPort = None,
    log_format: LogFormat = None,
    as_json: Json = False,
) -> None:
    """Try systems on the tasks of a suite: labels of test rows stay with a grader, and every attempt is a row that is kept.

    At the end the rows become pages. `mlteam eval compare OLD NEW` says what got better or worse from one eval to another, and
    `mlteam eval site DIR` writes the pages of one again. `mlteam eval tune RUN --family NAME` spreads a run's search over the same engines.
    """
    from evals.engines import make_engine
    from evals.harness import Plan, run_plan
    from evals.listing import listing, screen
    from evals.queue_metrics import QueueMetrics
    from evals.site.writing import publish
    from evals.suite import load_suite
    from evals.systems import find_systems
    from team.errors import Interrupted, MlteamError, UsageError
    from team.eval_view import EvalView, screen_width, tell
    from team.metrics_server import MetricsServer
    from team.stoppable import interruptible
    from team.terminal import clean
    from tools.sources.cache import cache_folder

    if jail not in ("bubblewrap", "none"):
        raise UsageError(f"--jail {jail}: expected bubblewrap or none.")
    loaded = load_suite(name)
    names = _names("--systems", systems) or _names("--systems", f"{USUAL},llm" if model else USUAL)
    plan = Plan(
        suite=loaded,
        systems=tuple(find_systems(names, model)),
        budget_s=seconds_of("--time", time),
        seeds=seeds,
        out=(out or Path("mlteam-eval") / loaded.name).resolve(),
        environments=(environments or cache_folder().parent / "environments").expanduser().resolve(),
        folds=folds,
        tasks=tuple(_names("--tasks", tasks)),
        model=model or "",
        threads=threads,
        grace_s=seconds_of("--grace", grace),
        memory_mb=memory,
        jail="none" if jail == "none" else "bubblewrap",
    )
    queue, view = QueueMetrics(loaded.name), EvalView(_about(plan), str(plan.out))
    try:
        with interruptible(), ExitStack() as open_now:
            if metrics_port is not None:
                open_now.callback(MetricsServer(queue.families, metrics_port).close)
            chosen = make_engine(engine, jobs, tell)
            open_now.callback(chosen.close)
            open_now.enter_context(view)
            went = run_plan(plan, chosen, view, jobs, queue)
            page = publish(plan.out, loaded.tasks) if len(went.attempts) else None
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; {view.kept()}. Go on with: {_typed()}") from None
    wanted = {job.key for job in plan.jobs()}
    if as_json:
        print_json(
            {
                "suite": loaded.name,
                "out": str(plan.out),
                "site": str(page) if page else None,
                "new": went.new,
                "skipped": went.skipped,
                "faults": [{**job.key._asdict(), "reason": reason} for job, reason in went.faults],
                "attempts": [row.model_dump(mode="json") for row in went.attempts if row.key in wanted],
            }
        )
    else:
        mine = [row for row in went.attempts if row.key in wanted]
        width = screen_width()
        print(clean(listing(mine) if width is None else screen(mine, width)))
    tell(f"{_counted(went.new)} made, {went.skipped} there before; rows in {plan.out}", new=went.new, skipped=went.skipped)
    if page:
        tell(f"pages: {page}")
    for trouble in went.untraced:
        tell(f"traces: {trouble}")
    if went.faults:
        reasons = dict.fromkeys(reason for _, reason in went.faults)
        told = "; ".join(reason.rstrip(".") for reason in list(reasons)[:3]) + (
            f"; and {len(reasons) - 3} more reasons" if len(reasons) > 3 else ""
        )
        raise MlteamError(f"{_counted(len(went.faults))} could not be made: {told}. Mend that, then type the command again.")


@app.command()
def compare(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Folder of an eval.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Folder of another one, of the same suite within the same time.")],
    systems: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these systems, such as those that are ours to change.  [default: all]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what got better or worse beyond noise; the exit code is 1 where anything got worse.

    Attempts are paired by task, system, seed, fold and budget, and p-values corrected for the number of tasks. A task whose every attempt
    fails now, and none did before, got worse too.
    """
    from evals.regression import NothingInCommon
    from evals.regression import compare as compare_attempts
    from evals.regression_view import told
    from evals.site.writing import read
    from team.errors import MlteamError, UsageError
    from team.eval_view import screen_width
    from team.terminal import clean, clean_json

    try:
        found = compare_attempts(read(old), read(new), (str(old), str(new)), _names("--systems", systems))
    except NothingInCommon as error:
        raise UsageError(
            f"{str(old)!r} and {str(new)!r} cannot be compared, as {error}. Make both with one suite, --time and --seeds."
        ) from None
    print(clean_json(found.model_dump_json(indent=1)) if as_json else clean(told(found, screen_width())))
    if found.worse:
        raise MlteamError(f"{found.worse} got worse from {str(old)!r} to {str(new)!r}: {', '.join(found.losses[:5])}.")


@app.command()
def site(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of an eval.")]) -> None:
    """Write the pages, Markdown and tables of an eval again from its rows."""
    from evals.site.writing import publish

    print(publish(folder))


def _about(plan: Plan) -> str:
    """A plan in a few words."""
    from reports.figures import duration

    systems, tasks = len(plan.systems), len(plan.tasks or plan.suite.tasks)
    return (
        f"{plan.suite.name}, {systems} system{'' if systems == 1 else 's'} on {tasks} task{'' if tasks == 1 else 's'},"
        f" {plan.seeds} seed{'' if plan.seeds == 1 else 's'}, {duration(plan.budget_s)} each"
    )


def _typed() -> str:
    """The command that this is."""
    return shlex.join(["mlteam", *sys.argv[1:]])


def _counted(attempts: int) -> str:
    return f"{attempts:,} attempt{'' if attempts == 1 else 's'}"


def _names(option: str, text: str | None) -> list[str]:
    """What an option lists; nothing where it is left out."""
    from team.errors import UsageError

    found = [part.strip() for part in (text or "").split(",") if part.strip()]
    if text is not None and not found:
        raise UsageError(f"{option} {text!r} names nothing; leave it out, or name some, with commas between them.")
    return found
