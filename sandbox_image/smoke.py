"""Prove a sandbox image from inside: one line a check, exit code 1 when any of them fails.

    docker run --rm --network none --read-only --tmpfs /tmp IMAGE      everything
    python smoke.py libraries                                          the libraries alone, while the image is being built

Every check really does what a run will do: import, fit, draw, start the kernel.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import io
import os
import pkgutil
import re
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path("/mlteam")
HERE = Path(__file__).resolve().parent
SKIPPED = re.compile(r"_.*|.*\.libs|tests?|docs|examples|pylab|torchgen|functorch")
"""Top-level names that distributions bring and nobody imports."""
CUDA = re.compile("nvidia-|cuda-|triton")
"""What comes with torch where pip finds no CPU build of it."""
OF_TORCH = {f"tools.families.{name}" for name in ("network", "mlp", "realmlp", "tabm")}
"""Modules that cannot be imported without torch."""
OF_HTTP = "tools.serving.routes"
"""What answers requests stays outside the sandbox, where the model that it asks is."""


class Failed(Exception):
    """A check found the image wanting."""


def need(holds: object, what: str) -> None:
    if not holds:
        raise Failed(what)


def python() -> str:
    need(sys.version_info >= (3, 11), f"Python {sys.version.split()[0]}, 3.11 or later is needed")
    need(Path(sys.prefix) == ROOT / "venv", f"runs from {sys.prefix}, not {ROOT / 'venv'}")
    return sys.version.split()[0]


def distributions() -> str:
    """Every locked distribution is there at its version, and nothing else."""
    wanted = locked("requirements.lock") | (locked("requirements-torch.lock") if has_torch() else {})
    found = {plain(d.name): d.version.partition("+")[0] for d in importlib.metadata.distributions()}
    wrong = [f"{name} {found.get(name, 'missing')} instead of {version}" for name, version in wanted.items() if found.get(name) != version]
    wrong += [f"{name} is not locked" for name in found.keys() - wanted.keys() if not CUDA.match(name)]
    need(not wrong, "; ".join(sorted(wrong)))
    return f"{len(found)} at their locked versions"


def imports() -> str:
    """Whatever the distributions bring can be imported."""
    names = sorted(name for name in importlib.metadata.packages_distributions() if not SKIPPED.fullmatch(name))
    for name in names:
        importlib.import_module(name)
    return f"{len(names)} packages"


def tools() -> str:
    """Every module of `tools` can be imported; those that need torch where torch is, and the one that needs a web framework not."""
    sys.path.insert(0, str(ROOT / "code"))
    package = importlib.import_module("tools")
    names = [m.name for m in pkgutil.walk_packages(package.__path__, "tools.") if has_torch() or m.name not in OF_TORCH]
    names.remove(OF_HTTP)
    for name in names:
        importlib.import_module(name)
    return f"{len(names)} modules"


def fit_sklearn() -> str:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from skrub import TableVectorizer

    return fitted(make_pipeline(TableVectorizer(), LogisticRegression()))


def fit_lightgbm() -> str:
    from lightgbm import LGBMClassifier

    return fitted(LGBMClassifier(n_estimators=20, min_child_samples=2, verbose=-1))


def fit_xgboost() -> str:
    from xgboost import XGBClassifier

    return fitted(XGBClassifier(n_estimators=20))


def fit_catboost() -> str:
    from catboost import CatBoostClassifier

    return fitted(CatBoostClassifier(iterations=20, verbose=False, allow_writing_files=False))


def fit_torch() -> str:
    import torch

    w = torch.zeros(2, requires_grad=True)
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    ((x @ w - torch.tensor([1.0, 2.0])) ** 2).sum().backward()
    need(w.grad is not None and w.grad.abs().sum() > 0, "no gradient")
    return str(torch.__version__)


def search() -> str:
    """Optuna with its store in SQLite, as the tuner uses it."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        study = optuna.create_study(storage=f"sqlite:///{folder}/studies.db")
        study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=3)
        return f"{len(study.trials)} trials"


def table() -> str:
    """A table to Parquet and back."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        rows().to_parquet(f"{folder}/rows.parquet")
        pd.testing.assert_frame_equal(pd.read_parquet(f"{folder}/rows.parquet"), rows())
    return f"{len(rows())} rows"


def model() -> str:
    """A pydantic model and its schema, which every tool's result is."""
    from pydantic import BaseModel, Field, ValidationError

    class Result(BaseModel):
        rows: int = Field(gt=0)

    need(Result.model_validate_json('{"rows": 3}').rows == 3, "3 rows are not 3")
    try:
        Result(rows=0)
    except ValidationError:
        return f"schema of {len(Result.model_json_schema())} entries"
    raise Failed("0 rows are taken for more than none")


def png() -> str:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    axes.plot([1, 2, 3])
    axes.set_title("title")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    need(picture.getvalue()[:8] == b"\x89PNG\r\n\x1a\n", "not a PNG")
    return f"{len(picture.getvalue()):,} bytes"


def shell() -> str:
    """What the kernel program is made of."""
    for name in ("ipykernel.iostream", "ipykernel.ipkernel", "ipykernel.kernelapp", "jupyter_client.session", "zmq.constants"):
        importlib.import_module(name)
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    result = InteractiveShell(config=config).run_cell("answer = 1 + 1", store_history=False)
    need(result.success, f"a cell failed: {result.error_in_exec!r}")
    return importlib.metadata.version("ipykernel")


def kernel() -> str:
    """The kernel program starts, runs a cell and ends when it is told to."""
    from jupyter_client.blocking.client import BlockingKernelClient
    from jupyter_client.connect import write_connection_file

    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file, _ = write_connection_file(f"{folder}/kernel.json", ip=f"{folder}/socket", transport="ipc", key=b"smoke")
        command = [sys.executable, "-P", str(ROOT / "inside" / "start.py"), file, "1000000"]
        env = {"PYTHONPATH": str(ROOT / "code"), "HOME": folder, "MPLCONFIGDIR": folder}
        with subprocess.Popen(command, env=env, cwd=folder) as process:
            client = BlockingKernelClient(connection_file=file)
            client.load_connection_file()
            client.start_channels(hb=False)  # a busy machine misses heartbeats
            try:
                client.wait_for_ready(timeout=60)
                reply = client.execute_interactive("import tools.show; assert 1 + 1 == 2", timeout=60)
                need(reply["content"]["status"] == "ok", str(reply["content"]))
            finally:
                client.stop_channels()
                process.terminate()
    return f"a cell after {time.monotonic() - started:.1f} s"


def folders() -> str:
    """Where the launcher mounts what belongs to a run."""
    for name in ("data", "work", "connection", "home"):
        need((ROOT / name).is_dir(), f"{ROOT / name} is missing")
        need(not any((ROOT / name).iterdir()), f"{ROOT / name} is not empty")
    return "empty"


def no_root() -> str:
    need(os.getuid() != 0 and os.geteuid() != 0 and os.getgid() != 0, f"runs as user {os.getuid()}, group {os.getgid()}")
    return f"user {os.getuid()}, group {os.getgid()}"


def no_setuid() -> str:
    """No file hands out the rights of its owner."""
    count = 0
    for path in files(Path("/")):
        count += 1
        need(not os.lstat(path).st_mode & 0o6000 or os.path.islink(path), f"{path} has a setuid or setgid bit")
    return f"none of {count:,} files and folders"


def read_only() -> str:
    """Everything of the image can be read, and nothing of it can be written."""
    count = 0
    for folder in ("venv", "code", "inside", "image"):
        for path in files(ROOT / folder):
            count += 1
            need(os.access(path, os.R_OK), f"{path} cannot be read")
            need(not os.access(path, os.W_OK), f"{path} can be written")
    return f"{count:,} files and folders"


def files(root: Path) -> Iterator[str]:
    """`root` and all below it but what the kernel makes up and what lies on another file system."""
    device = os.lstat(root).st_dev
    yield str(root)
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if os.lstat(f"{folder}/{name}").st_dev == device]
        yield from (os.path.join(folder, name) for name in (*folders, *names))


def fitted(model: Any) -> str:
    """Fit it, predict, and come out better than a guess."""
    X = rows()[["a", "b"]]
    y = rows()["label"]
    model.fit(X, y)
    right = float((model.predict(X) == y).mean())
    need(right > 0.8, f"only {right:.0%} of its own training rows are right")
    return f"{right:.0%} of {len(X)} rows"


def rows() -> Any:
    import numpy as np
    import pandas as pd

    a, b = np.random.default_rng(0).normal(size=(2, 60))
    return pd.DataFrame({"a": a, "b": b, "label": (a + b > 0).astype(int), "word": ["x", "y", None] * 20})


def has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def locked(name: str) -> dict[str, str]:
    return {plain(n): v for n, v in re.findall(r"^([\w.-]+)==([\w.]+)", (HERE / name).read_text(encoding="utf-8"), re.M)}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


LIBRARIES = [python, distributions, imports, fit_sklearn, fit_lightgbm, fit_xgboost, fit_catboost, search, table, model, png, shell]
IMAGE = [tools, kernel, folders, no_root, no_setuid, read_only]


def main() -> int:
    """Run the checks; returns the exit code."""
    checks: list[Callable[[], str]] = [*LIBRARIES, *([fit_torch] if has_torch() else []), *([] if sys.argv[1:] == ["libraries"] else IMAGE)]
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"HOME": folder, "MPLCONFIGDIR": folder, "IPYTHONDIR": folder}
        warnings.simplefilter("ignore")
        for check in checks:
            name = check.__name__.replace("_", " ")
            try:
                print(f"ok    {name:14} {check()}", flush=True)
            except Exception as error:  # a check that fails in any way is counted and told, and the others are made
                failures += 1
                print(f"FAIL  {name:14} {type(error).__name__}: {error}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
