"""Commands on a released model: serve it, write it in other formats, commit its run to Git, register it, deploy it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from team.options import Json, Out, Run, seconds_of
from team.terminal import print_json
from tools.git.repository import plain_address

Package = Annotated[
    str, typer.Argument(metavar="RUN|PACKAGE", help="Run directory, the beginning of its name, `last`, or a package folder.")
]


def serve(
    package: Package,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 8000,
    rows: Annotated[int, typer.Option(min=1, max=100_000, help="Most rows of one request.")] = 10_000,
    body: Annotated[int, typer.Option("--body-mb", min=1, max=100, help="Most MB (2^20 bytes) of a request.")] = 10,
    rate: Annotated[float, typer.Option(min=0, help="Requests a second of one client; 0 for no limit.")] = 100.0,
    out: Out = Path("runs"),
    sandbox: Annotated[str, typer.Option(help="auto, docker, bubblewrap or unsafe-local, which loads the model into the server.")] = "auto",
) -> None:
    """Serve a packaged model over HTTP: /predict, /health, /ready, /metrics, /schema.

    Requests bring the key in X-API-Key: that of MLTEAM_SERVE_KEY, or one that is made and told. Ctrl-C lets requests end first.
    """
    from team.serving import serve as answer
    from tools.serving.gate import Bounds

    bounds = Bounds(body_bytes=body * 2**20, rows=rows, per_second=rate, burst=max(1, int(2 * rate)))
    answer(package, out=out, host=host, port=port, sandbox=sandbox, bounds=bounds)


def export(
    run: Run,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to make; there must be none.")],
    formats: Annotated[
        str | None,
        typer.Option("--format", metavar="LIST", help="onnx, skops, joblib, with commas; left out, all that the model can be had in."),
    ] = None,
    time: Annotated[str, typer.Option(help="Time for each format, checking included, such as 60s, 10m, 1h.")] = "5m",
    out: Out = Path("runs"),
    sandbox: Annotated[str, typer.Option(help="auto, docker, bubblewrap or unsafe-local.")] = "auto",
    as_json: Json = False,
) -> None:
    """Write a packaged model as ONNX, skops or joblib, each held against the pipeline on rows of the run.

    A format that is named must be possible, or nothing is written; the run itself is left as it is.
    """
    from team.converting import export as write
    from team.rundir import open_run
    from team.setting_values import read_names

    done = write(open_run(run, out), output, read_names(formats), most_s=seconds_of("--time", time), sandbox=sandbox)
    if as_json:
        print_json(done.model_dump())
        return
    for file in done.files:
        print(f"{file.path}  {file.bytes:,} bytes, {file.told}")
    for name, why in done.not_made.items():
        print(f"no {name}: {why}", file=sys.stderr)


def publish(
    run: Run = "last",
    repo: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Your Git repository; left out, a fresh one in the run directory.")
    ] = None,
    tag: Annotated[str | None, typer.Option(metavar="VERSION", help="Tag the release with a semantic version, as v1.2.0, or next.")] = None,
    push: Annotated[str | None, typer.Option(metavar="REMOTE", help="Push branch and tag to this remote, both or none.")] = None,
    pull_request: Annotated[bool, typer.Option("--pull-request", help="Open a pull request there (GITHUB_TOKEN or GITLAB_TOKEN).")] = False,
    forge: Annotated[str | None, typer.Option(metavar="NAME", help="github or gitlab, where the remote's address does not tell.")] = None,
    out: Out = Path("runs"),
    as_json: Json = False,
) -> None:
    """Commit a run on its own branch exp/RUN: preparation, training, evaluation. All of what is asked for happens, or nothing.

    Data and model are committed by their hashes; every file is searched for secrets and tables before.
    """
    from team.publishing import publish_run
    from team.rundir import open_run

    done = publish_run(open_run(run, out), repo=repo, tag=tag, remote=push, pull_request=pull_request, forge=forge)
    if as_json:
        print_json(done.model_dump())
        return
    print(f"{done.branch} in {done.repository}: {len(done.commits)} commits{f', tag {done.tag}' if done.tag else ''}")
    if done.remote:
        print(f"pushed to {plain_address(done.remote)}")
    if done.pull_request:
        print(done.pull_request)


def register(
    run: Run = "last",
    registry: Annotated[
        str | None, typer.Option(metavar="URI", help="MLflow server; left out, the registry of the folder of runs.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model; left out, the target's.")] = None,
    approve: Annotated[
        str | None, typer.Option(metavar="REASON", help="Make it champion on your word, whatever the test says; the reason is kept.")
    ] = None,
    out: Out = Path("runs"),
    as_json: Json = False,
) -> None:
    """Put a run's package into MLflow's Model Registry, as champion where it beats the one before on the same sealed rows.

    The paired test of `mlteam compare` over the holdout decides; else the version waits as challenger.
    """
    from team.registering import register as put
    from team.rundir import open_run

    done = put(open_run(run, out), registry=registry, name=name, word=approve, place=out)
    if as_json:
        print_json(done.model_dump())
    else:
        print(f"{done.name} version {done.version}: {done.alias} ({done.why}) in {done.registry}")


def deploy(
    package: Package,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to make; there must be none.")],
    image: Annotated[str | None, typer.Option(help="Reference of the image, as NAME:TAG.")] = None,
    host: Annotated[str | None, typer.Option(help="Name under which the Ingress answers.")] = None,
    out: Out = Path("runs"),
) -> None:
    """Write what `docker build` and `kubectl apply` take: package, engine, Dockerfile, manifests, load script."""
    from team.serving import write_deployment

    write_deployment(package, out=out, target=output, image=image, host=host)
    print(output)
