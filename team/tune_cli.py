"""`mlteam eval tune`: one family's search for a run, its fits spread over processes or machines, and what comes of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from team.options import Json, LogFormat, Out, Run
from team.terminal import print_json

KINDS = ("auto", "docker", "bubblewrap", "unsafe-local")
SAMPLERS, PRUNERS = ("tpe", "random", "nsga2"), ("median", "hyperband", "successive_halving", "none")


def tune(
    run: Run,
    family: Annotated[str, typer.Option(metavar="NAME", help="What is searched: lightgbm, catboost, linear ...")],
    engine: Annotated[str, typer.Option(metavar="WHERE", help="local, or dask://HOST:PORT.")] = "local",
    jobs: Annotated[int | None, typer.Option(help="Fits of folds at a time.  [default: 1, or as many as the engine has room for]")] = None,
    trials: Annotated[int, typer.Option(min=1, max=100_000, help="Of the study altogether, those of earlier calls counted.")] = 40,
    fork: Annotated[
        bool, typer.Option("--fork", help="Then go on in a fork of the run that has the best trial among its candidates.")
    ] = False,
    preparation: Annotated[str, typer.Option(metavar="NAME", help="Of the run's preparations, the one that is fitted on.")] = "default",
    sampler: Annotated[str, typer.Option(help=f"{', '.join(SAMPLERS[:-1])} or {SAMPLERS[-1]}.")] = "tpe",
    pruner: Annotated[str, typer.Option(help=f"{', '.join(PRUNERS[:-1])} or {PRUNERS[-1]}.")] = "median",
    studies: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="postgresql://USER:PASSWORD@HOST/DATABASE, or journal:FILE.  [default: journal:studies.journal beside the run]",
        ),
    ] = None,
    sandbox: Annotated[
        str | None, typer.Option(help="What fits run in: auto, docker, bubblewrap or unsafe-local.  [default: the run's]")
    ] = None,
    out: Out = Path("runs"),
    log_format: LogFormat = None,
    as_json: Json = False,
) -> None:
    """Search a family's parameters over a run's own folds, the fits spread over processes or machines.

    The study is kept: the same command goes on with it, and more --trials add to it. The run itself stays as it is. With --fork the best
    trial becomes a candidate of a fork, which chooses, looks at the holdout (that look is counted beside the run's own) and is packaged.
    """
    from contextlib import closing

    from evals.engines import make_engine
    from evals.job_trace import search_of
    from evals.spread import Search, search
    from evals.tuned import found_in, hand_over, known_to, told
    from team.errors import Interrupted, MlteamError
    from team.forking import before_the_choice
    from team.rundir import open_run
    from team.settings import read_settings
    from team.stoppable import interruptible
    from team.terminal import clean
    from tools.crossval import threads
    from tools.studies import quiet

    found_run = open_run(run, out)
    if fork:
        before_the_choice(found_run)
    how: dict[str, Any] = {
        "sampler": _one_of("--sampler", sampler, SAMPLERS),
        "pruner": _one_of("--pruner", pruner, PRUNERS),
        "sandbox": _one_of("--sandbox", sandbox or read_settings(found_run.settings).sandbox.kind, KINDS),
        "preparation": preparation,
    }
    where = studies or f"journal:{found_run.path.resolve().parent / 'studies.journal'}"
    if engine == "local" and (jobs or 1) > 1:  # workers share the cores out
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, threads() // (jobs or 1))))
    known = known_to(found_run, family, preparation)
    try:
        with interruptible(), quiet():
            asked = Search(found_run.path.resolve(), family, where, trials=trials, known=known, **how)
            with closing(make_engine(engine, jobs, _say)) as chosen:
                with search_of(found_run, family, _say):
                    search(chosen, asked, _say)
                found = found_in(found_run, asked, where)
                if found.score is None:
                    raise MlteamError(
                        f"none of {found.trials} trials was completed, so nothing was found. What they failed with stands above."
                    )
                made = hand_over(found_run, asked, chosen, found.trials) if fork else None
    except KeyboardInterrupt:
        raise Interrupted("stopped; trials that had ended are in the study. The same command goes on with it.") from None
    summary = _gone_on(*made) if made else None
    if as_json:
        print_json(found.model_dump(mode="json") | {"fork": summary})
        return
    print(clean(told(found)))
    if summary is None:
        more = "" if engine == "local" else f" --engine {engine}"
        _say(
            f"To have it evaluated in a fork of the run: mlteam eval tune {found_run.path} --family {family} --trials {trials}{more} --fork"
        )
    else:
        from team.overview import overview

        print(f"\n{overview(summary)}")


def _gone_on(made: Any, cut_off: Any) -> dict[str, Any]:
    """The fork, run to its end."""
    from team.asking import terminal_asker
    from team.progress import progress_view
    from team.run import go_on

    with progress_view(made) as view:
        return go_on(made, cut_off, subscribers=[view], approve=terminal_asker(view))


def _one_of(option: str, value: str, expected: tuple[str, ...]) -> str:
    from team.errors import UsageError

    if value not in expected:
        raise UsageError(f"{option} {value!r}: expected one of {', '.join(expected)}.")
    return value


def _say(message: str) -> None:
    """Tell how far it has come on stderr, in the format of the logs."""
    import sys

    from team.json_log import say

    if not say(message, logger="mlteam.eval"):
        print(message, file=sys.stderr, flush=True)
