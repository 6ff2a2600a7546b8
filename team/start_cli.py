"""`mlteam run`, `resume` and `fork`: begin a run or go on with one, shown while it goes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from team.options import (
    Approval,
    Approve,
    Json,
    LogFormat,
    MetricsPort,
    Out,
    PullRequest,
    Push,
    Registry,
    Repo,
    Run,
    Tag,
    approval_of,
    release_of,
)
from team.terminal import print_json
from tools.contract import Task

if TYPE_CHECKING:
    from team.constraint import Constraint
    from team.events import CostForecast, ModelCalled
    from team.rundir import RunDir


RELEASE = ("repo", "tag", "push", "pull_request", "registry")
"""Options that are parts of one setting."""
NO_SETTINGS = ("config", "log_format", "as_json", "approve", "forecast", *RELEASE)
"""Options that are no setting of the same name."""


def run(
    source: Annotated[str, typer.Argument(help="File, folder, URL, database or NAME of a service; docs/data.md lists all.")],
    target: Annotated[str | None, typer.Option(help="Column to predict; left out, the team chooses.")] = None,
    task: Annotated[
        str | None, typer.Option(metavar="NAME", help=f"Problem type: {', '.join(get_args(Task))}; left out, the target's values say.")
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(metavar="LOW,MID,HIGH", help="Order of the target's classes, which makes it ordinal; left out, that of numbers."),
    ] = None,
    quantiles: Annotated[
        str | None, typer.Option(metavar="0.1,0.5,0.9", help="Predict these quantiles of a number; the median is always among them.")
    ] = None,
    event: Annotated[str | None, typer.Option(help="Of survival: the column that is 1 where the event happened, 0 if censored.")] = None,
    goal: Annotated[str | None, typer.Option(help="The wish in your own words.")] = None,
    metric: Annotated[str | None, typer.Option(help="Metric that decides; left out, the usual one of the problem type.")] = None,
    time: Annotated[str | None, typer.Option(help="Time for the search, such as 60s, 10m, 1h.  [default: 10m]")] = None,
    trials: Annotated[int | None, typer.Option(help="Tuning trials in all, so that equal seeds give equal results.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="Who plays the roles: playbook, openai:MODEL[@URL], anthropic:MODEL[@URL], replay:RUN, or a list.  [default: playbook]",
        ),
    ] = None,
    sandbox: Annotated[str | None, typer.Option(help="auto, docker, bubblewrap or unsafe-local.  [default: auto]")] = None,
    device: Annotated[
        str | None, typer.Option(help="What models are fitted on: auto, cpu or cuda (a graphics processor).  [default: auto]")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of checkpoint files for tabicl and tabpfn, which are never downloaded.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder that gets the run directory.  [default: runs]")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of splits and estimators.  [default: 0]")] = None,
    holdout: Annotated[
        float | None, typer.Option(help="Share of the rows that is sealed; a forecast seals its last horizon.  [default: 0.2]")
    ] = None,
    folds: Annotated[
        str | None, typer.Option(help="Cross-validation folds; loo leaves each row, or group, out alone.  [default: by rows]")
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(help="kfold, stratified, group, time, loo, repeated or nested; left out, what fits the split.  [default: none]"),
    ] = None,
    repeats: Annotated[int | None, typer.Option(help="How often the rows are dealt to folds anew.  [default: 1]")] = None,
    window: Annotated[str | None, typer.Option(help="Folds in order of time learn from an expanding or a sliding window.")] = None,
    gap: Annotated[str | None, typer.Option(help="Time between what is learned from and what is predicted, such as 7d.")] = None,
    own_split: Annotated[
        bool | None, typer.Option("--own-split", help="Take the holdout and folds that the source itself brings, as openml:task/ID does.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Column whose values must stay on one side of a split.")] = None,
    time_column: Annotated[str | None, typer.Option(help="Column that orders the rows in time.")] = None,
    max_cost: Annotated[
        str | None, typer.Option(help="Most dollars for models; then the playbook goes on. --config may give their prices.")
    ] = None,
    warn_cost: Annotated[
        str | None, typer.Option(metavar="USD", help="Dollars at whose 50, 75, 90 and 100 % you are told; nothing is stopped.")
    ] = None,
    expected_cost: Annotated[
        str | None, typer.Option(metavar="USD", help="Dollars that models are foreseen to cost; you are asked before they cost more.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Most tokens for models, input and output; then the playbook goes on.")] = None,
    warn_tokens: Annotated[int | None, typer.Option(help="The same as --warn-cost, for tokens.")] = None,
    probe: Annotated[
        bool | None,
        typer.Option("--probe/--no-probe", help="Ask each language model one small question first, to forecast by.  [default: probe]"),
    ] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="Most milliseconds that the model may take for a single row.")] = None,
    max_size_mb: Annotated[float | None, typer.Option(help="Most MB that the saved model may take.")] = None,
    interpretable: Annotated[bool | None, typer.Option("--interpretable", help="Only linear models and single trees, no blend.")] = None,
    monotone: Annotated[
        str | None, typer.Option(metavar="COL:+,...", help="Columns with which the prediction may only rise (+) or fall (-).")
    ] = None,
    families: Annotated[str | None, typer.Option(metavar="A,B", help="The only model families that may be fitted.")] = None,
    forbid: Annotated[str | None, typer.Option(metavar="COL,...", help="Columns that no model may see.")] = None,
    mask_pii: Annotated[
        bool | None,
        typer.Option("--mask-pii", help="Mask mail addresses, card numbers, names and the like before a sandbox sees a row."),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT", help="What must be kept, in a sentence, such as 'never use column X' or 'linear models only'; repeatable."
        ),
    ] = None,
    sensitive: Annotated[str | None, typer.Option(metavar="COL", help="Column whose groups are compared, for fairness.")] = None,
    without: Annotated[str | None, typer.Option(metavar="A,B", hidden=True, help="Parts of the engine and families to do without.")] = None,
    series: Annotated[str | None, typer.Option(help="Forecast: columns that together name a series, with commas.")] = None,
    horizon: Annotated[int | None, typer.Option(help="Forecast: steps ahead; left out, what is usual for the frequency.")] = None,
    known: Annotated[str | None, typer.Option(help="Forecast: columns that are known ahead, with commas.")] = None,
    sampler: Annotated[str | None, typer.Option(help="What tuning asks for next: tpe, random, grid or nsga2.  [default: tpe]")] = None,
    pruner: Annotated[
        str | None, typer.Option(help="What ends trials early: median, hyperband, successive_halving or none.  [default: median]")
    ] = None,
    objectives: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="What tuning weighs: score, and latency, size or fairness after commas.  [default: score]"),
    ] = None,
    preparers: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Steps such as impute=knn, or transformers of packages, fitted inside each fold."),
    ] = None,
    max_download: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Most bytes to download, and to unpack, such as 5GB.  [default: 20GB]")
    ] = None,
    tracker: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="What gets the run too: an MLflow server's URI, wandb, tensorboard, with commas; or none.  [default: MLFLOW_TRACKING_URI]",
        ),
    ] = None,
    capture_content: Annotated[
        bool | None,
        typer.Option("--capture/--no-capture", help="Prompts, messages, arguments and results in the run's traces.  [default: capture]"),
    ] = None,
    repo: Repo = None,
    tag: Tag = None,
    push: Push = None,
    pull_request: PullRequest = False,
    registry: Registry = None,
    approval: Approval = None,
    approve: Approve = None,
    metrics_port: MetricsPort = None,
    forecast: Annotated[bool, typer.Option("--forecast", help="Only tell what it would take, and stop before anything is made.")] = False,
    config: Annotated[Path | None, typer.Option(help="YAML file with settings.")] = None,
    log_format: LogFormat = None,
    as_json: Json = False,
) -> None:
    """From a dataset to a model, a report and a score on rows that nobody has seen."""
    # Every option but these is a setting of the same name.
    given = {name: value for name, value in locals().items() if name not in NO_SETTINGS}
    from team.settings import load_settings

    release = release_of(repo=repo, tag=tag, push=push, pull_request=pull_request, registry=registry)
    given |= approval_of(approval, approve) | release
    settings = load_settings(given, config)
    from team.asking import terminal_asker
    from team.errors import MlteamError
    from team.foresight import foresee
    from team.json_log import say
    from team.models.probing import asked_models
    from team.progress import progress_view
    from team.run import start

    try:
        if forecast:
            foreseen, _ = foresee(settings)
            print_json(foreseen.document(settings)) if as_json else print("\n".join(foreseen.lines(settings)))
            return
        before: list[ModelCalled | CostForecast] = []
        if asked_models(settings):
            foreseen, before = foresee(settings)
            if not say(f"foreseen: {foreseen.told}", grounds=foreseen.grounds(settings.out), beyond=foreseen.beyond(settings)):
                print("\n".join(foreseen.lines(settings)), file=sys.stderr)
        with progress_view() as view:
            summary = start(settings, [view], approve=terminal_asker(view), before=before)
    except MlteamError as error:
        if as_json:
            print_json({"run": None, "status": "failed", "reason": str(error), "exit_code": error.exit_code})
        raise
    _tell(summary, as_json)


def resume(
    run: Run,
    out: Out = Path("runs"),
    sandbox: Annotated[str | None, typer.Option(help="Another sandbox from here on: auto, docker, bubblewrap or unsafe-local.")] = None,
    constraint: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="What must be kept from here on, in a sentence; repeatable.")
    ] = None,
    metrics_port: MetricsPort = None,
    log_format: LogFormat = None,
    as_json: Json = False,
) -> None:
    """Go on with a run that was stopped, killed or failed."""
    from team.asking import terminal_asker
    from team.progress import progress_view
    from team.run import resume as take_up
    from team.rundir import open_run

    found = open_run(run, out)
    asked = _understood(constraint or [], found)
    with progress_view(found) as view:
        summary = take_up(
            found, sandbox=sandbox, subscribers=[view], approve=terminal_asker(view), constraints=asked, metrics_port=metrics_port
        )
    _tell(summary, as_json)


def fork(
    run: Run,
    at: Annotated[str, typer.Option(help="Number of turns that had ended, or a stage: where it was entered.")],
    changes: Annotated[list[str] | None, typer.Option("--set", help="A setting that is to differ, such as time=5m.")] = None,
    out: Out = Path("runs"),
    log_format: LogFormat = None,
    as_json: Json = False,
) -> None:
    """Start a new run from a step of another, with other settings, sharing what both only read."""
    import yaml

    from team.asking import terminal_asker
    from team.errors import UsageError
    from team.forking import fork as make
    from team.progress import progress_view
    from team.run import go_on
    from team.rundir import open_run

    given = {}
    for change in changes or []:
        name, equals, value = change.partition("=")
        if not equals:
            raise UsageError(f"--set {change!r}: expected NAME=VALUE.")
        given[name.strip()] = yaml.safe_load(value)
    made, cut_off = make(open_run(run, out), at, given)
    with progress_view(made) as view:
        summary = go_on(made, cut_off, subscribers=[view], approve=terminal_asker(view))
    _tell(summary, as_json)


def _understood(sentences: list[str], run: RunDir) -> list[Constraint]:
    """What sentences ask of a run, whose columns are known once its contract is sealed."""
    from team.errors import UsageError
    from team.sentences import whole

    contract = run.read_contract()
    try:
        return [one for text in sentences for one in whole(text, contract.features if contract else ())]
    except ValueError as error:
        raise UsageError(f"--constraint: {error}.") from None


def _tell(summary: dict[str, Any], as_json: bool) -> None:
    from team.overview import overview

    if as_json:
        print_json(summary)
    else:
        print(overview(summary))
