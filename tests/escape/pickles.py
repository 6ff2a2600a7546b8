"""Code in files: pickles in tables and in the packaged model, and secrets that the package is to carry out."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys

from team.errors import MlteamError
from team.predict import apredict
from team.roles import roles
from team.sandbox import CellResult
from team.stages import HoldoutFact, Stage, State
from tests.escape.attack import Attack, Host, Verdict, got_through, held
from tests.escape.holdout import CANDIDATE, scores
from tests.escape.scene import Scene

EVIL = """
import pickle
class Evil:
    def __reduce__(self): return (exec, ($payload,))
pickled = pickle.dumps(Evil())
"""
TOUCH = "import os; os.path.isdir({outside!r}) and open({outside!r} + '/owned', 'w').close()"
"""Run on the host, it leaves a file there; in the sandbox, where there is no such folder, nothing."""
HAND_OUT = """
import os, json
from IPython.display import display
beside = [name for name in os.listdir('model') if name not in ('pipeline.joblib', 'model.json')]
if beside: open('predictions.csv', 'w').write(open('model/' + beside[0]).read())
else: os.symlink({canary!r}, 'predictions.csv')
display({{'application/vnd.mlteam.result+json': {{'rows': 1, 'columns': ['prediction'], 'output': 'predictions.csv'}}}}, raw=True)
raise SystemExit
"""
MODEL = """
import json
os.makedirs('model', exist_ok=True)
contract = json.load(open(os.environ['MLTEAM_DATA'] + '/contract.json'))
json.dump({'contract': contract, 'candidate': 'linear-1'}, open('model/model.json', 'w'))
"""


def never_executed(scene: Scene, result: CellResult) -> Verdict:
    board, problems = scores(scene)
    if (scene.outside / "owned").exists():
        return got_through("the host executed what the sandbox pickled")
    assert len(problems) + len(board) == 2, problems
    return held(f"read as numbers under a plain schema; nothing is unpickled ({problems[0].split(': ', 1)[1][:90]})")


def _unpickling_is_hit(scene: Scene, result: CellResult) -> bool:
    code = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    subprocess.run([sys.executable, "-c", code, str(scene.run.work / "payload")], capture_output=True, check=False)
    return (scene.outside / "owned").exists()


async def packaged_unread(scene: Scene, result: CellResult) -> Verdict:
    """The release manager packages the model, and `mlteam predict` uses it in the same kind of sandbox."""
    assert "MODEL" in result.text, result.traceback
    outcome = await _package(scene)
    if outcome.status != "ok":
        return held(outcome.text) if "link" in outcome.text.lower() or "symbolic" in outcome.text.lower() else got_through(outcome.text)
    output = scene.outside / "out.csv"
    try:
        told = f"{await apredict(scene.run, scene.source, output, sandbox=scene.kind)} rows"
    except MlteamError as error:
        told = str(error)
    finally:
        shutil.rmtree(scene.run.model)
    if (scene.outside / "owned").exists():
        return got_through("the host executed what the sandbox pickled")
    if output.exists() and scene.secret in output.read_text():
        return got_through("the secret stands in the predictions")
    return held(f"bytes are copied and hashed, never read; the pipeline is loaded in a sandbox alone ({told.splitlines()[0][:120]})")


def _following_is_hit(scene: Scene, result: CellResult) -> bool:
    shutil.copytree(scene.run.work / "model", scene.outside / "package")
    return any(scene.secret in path.read_text(errors="replace") for path in (scene.outside / "package").iterdir())


def _model_would_be_hit(scene: Scene, result: CellResult) -> bool:
    """Loaded outside a sandbox, the pipeline leaves a link that a host which copies it would follow."""
    code = "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))"
    folder = scene.run.work / "elsewhere"
    (folder / "model").mkdir(parents=True)
    pipeline = scene.run.work / "model" / "pipeline.joblib"
    subprocess.run([sys.executable, "-c", code, str(pipeline)], cwd=folder, capture_output=True, check=False)
    return scene.secret in (folder / "predictions.csv").read_text()


async def stranger_gets_nothing(scene: Scene, result: CellResult) -> Verdict:
    """A run directory that somebody sent: beside the model lies a link, which must not carry a secret into the sandbox."""
    assert (await _package(scene)).status == "ok"
    (scene.run.model / "notes.txt").symlink_to(scene.canary)
    output = scene.outside / "out.csv"
    try:
        with contextlib.suppress(MlteamError):
            await apredict(scene.run, scene.source, output, sandbox=scene.kind)
    finally:
        shutil.rmtree(scene.run.model)
    if output.exists() and scene.secret in output.read_text():
        return got_through("the secret was copied into the sandbox and came back in the predictions")
    return held("only the two packaged files are copied, and no link is followed")


async def _package(scene: Scene) -> object:
    final = HoldoutFact(candidate="linear-1", metric="rmse", score=1.0, low=1.0, high=1.0, level=0.95, n=20, looks=1)
    scene.room.state = State(stage=Stage.RELEASE, visits={Stage.RELEASE: 1}, sealed=True, holdout=final, refitted="linear-1")
    return await scene.room.call(roles()["release_manager"], "package_model", {})


def _pickled(scene: Scene) -> None:
    scene.payload = TOUCH.format(outside=str(scene.outside))


def _handing_out(scene: Scene) -> None:
    scene.payload = HAND_OUT.format(canary=str(scene.canary))


ATTACKS = (
    Attack(
        "parquet-pickles",
        "Hide a pickle in a table: as an extension type that old readers unpickle, and in a column of objects.",
        CANDIDATE
        + EVIL
        + """
open('payload', 'wb').write(pickled)
extension = {b'ARROW:extension:name': b'arrow.py_extension_type', b'ARROW:extension:metadata': pickled}
fields = [pa.field('row', pa.int64()), pa.field('fold', pa.int64()), pa.field('prediction', pa.float64(), metadata=extension)]
schema = pa.schema(fields, metadata={b'pandas': b'{"columns": [{"numpy_type": "object", "pandas_type": "object"}]}'})
candidate('extension', table=pa.table(columns(), schema=schema))
candidate('objects', table=columns(prediction=[pickled] * N))
""",
        never_executed,
        Host(_unpickling_is_hit),
        before=_pickled,
    ),
    Attack(
        "pickled-model",
        "Have a pickle run on the host as the packaged model, when it is packaged and when it predicts.",
        MODEL
        + EVIL
        + """
for path in ('payload', 'model/pipeline.joblib'): open(path, 'wb').write(pickled)
print('MODEL')
""",
        packaged_unread,
        Host(_unpickling_is_hit),
        before=_pickled,
    ),
    Attack(
        "linked-model",
        "Have a secret of the host packaged with the model.",
        MODEL + "os.symlink($canary, 'model/pipeline.joblib')\nprint('MODEL')",
        packaged_unread,
        Host(_following_is_hit),
    ),
    Attack(
        "model-hands-out",
        "Have the packaged model, when it predicts, leave a link to a secret in the place of its predictions.",
        MODEL + EVIL + "open('model/pipeline.joblib', 'wb').write(pickled)\nprint('MODEL')",
        packaged_unread,
        Host(_model_would_be_hit),
        before=_handing_out,
    ),
    Attack(
        "run-of-a-stranger",
        "Send a run directory whose model folder holds a link to a secret, and a model that reads it out.",
        MODEL + EVIL + "open('model/pipeline.joblib', 'wb').write(pickled)\nos.symlink($canary, 'model/notes.txt')\nprint('MODEL')",
        stranger_gets_nothing,
        Host(_following_is_hit),
        before=_handing_out,
    ),
)
