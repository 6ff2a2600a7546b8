"""Ways to the holdout's labels, and to a better score than the predictions are worth."""

from __future__ import annotations

import json
import math
from typing import Any

from team.roles import roles
from team.sandbox import CellResult
from team.stages import ReviewFact, Stage, State
from tests.escape.attack import Attack, Host, Local, No, Verdict, by_fact, got_through, held
from tests.escape.scene import ROWS, Scene
from tools.predictions import PredictionError

TRAIN = int(ROWS * 0.8)
CANDIDATE = f"""
import pyarrow as pa, pyarrow.parquet as pq
N = {TRAIN}
def record(name, **changes):
    facts = dict(name=name, family='linear', params={{}}, preparation='default', metric='rmse', score=1.0, std_error=0.0,
                 fold_scores=[1.0], n_folds=5, fit_seconds=1.0, predict_ms_per_row=1.0)
    return json.dumps(facts | changes)
def columns(**changes):
    return {{'row': list(range(N)), 'fold': [0] * N, 'prediction': [3000.0] * N}} | changes
def candidate(name, text=None, table=None):
    folder = 'candidates/' + name
    os.makedirs(folder, exist_ok=True)
    with open(folder + '/candidate.json', 'w') as file: file.write(text if text is not None else record(name))
    if table is None: table = columns()
    if table is not False: pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), folder + '/oof.parquet')
"""
BROKEN = """
spoilt = {
    'nan': columns(prediction=[float('nan')] * N), 'inf': columns(prediction=[float('inf')] * N),
    'left-out': columns(fold=[-1] * 40 + [0] * 40, prediction=[float('nan')] * 40 + [3000.0] * 40),
    'overflow': columns(prediction=[1e200] * N), 'null': columns(prediction=[None] * N),
    'fewer': {k: v[:-1] for k, v in columns().items()}, 'more': {k: [*v, v[0]] for k, v in columns().items()},
    'doubled': columns(row=[0] * N), 'unordered': columns(row=list(range(N))[::-1]), 'negative': columns(row=list(range(-1, N - 1))),
    'text': columns(prediction=['3000'] * N), 'bool': columns(prediction=[True] * N), 'lists': columns(prediction=[[3000.0]] * N),
    'extra': columns(weight=[1.0] * N), 'renamed': {'row': list(range(N)), 'target': [3000.0] * N}, 'empty': {},
    'bytes': columns(prediction=[b'x'] * N),
}
for name, table in spoilt.items(): candidate(name, table=table)
print('SPOILT', len(spoilt))
"""
NAMES = """
for name in ('good', '..', '../up', 'x/../../vault', 'new\\nline', '\\x1b]0;title\\x07', '\\x1b[2J', 'UPPER', 'spa ce',
             '\\u202eevil', 'a' * 200, '-rf', '.hidden', "'; drop"):
    try: candidate(name)
    except OSError as error: print('STOPPED name', reason(error))
print('NAMES', sorted(os.listdir('candidates')))
"""


def no_labels(scene: Scene, result: CellResult) -> str | None:
    found = scene.labels_in(result.text)
    return f"{found} of {len(scene.labels)} labels of the holdout came back" if found else None


def contract_stays(scene: Scene, result: CellResult) -> str | None:
    changed = [p for p in (scene.run.contract, scene.run.data / "contract.json") if p.read_bytes() != scene.kept[p.name]]
    for path in changed:
        path.write_bytes(scene.kept[path.name])
    return f"the score contract was changed: {[str(p.relative_to(scene.run.path)) for p in changed]}" if changed else None


def no_ledger(scene: Scene, result: CellResult) -> str | None:
    ledger = scene.run.vault / "ledger.jsonl"
    if not ledger.exists():
        return None
    ledger.unlink()
    return "the ledger of looks was written to"


def scores(scene: Scene) -> tuple[dict[str, Any], list[str]]:
    """The leaderboard that the host makes of what lies in the work folder, and what it rejects."""
    state, problems = scene.room.evidence.of_candidates(scene.room.state)
    return {c.name: c for c in state.candidates}, problems


def own_score(scene: Scene, result: CellResult) -> Verdict:
    board, problems = scores(scene)
    assert list(board) == ["perfect"], problems
    score = board["perfect"].score
    if score < 100:
        return got_through(f"the host believes a score of {score}")
    return held(f"the host scored the file itself: {score:,.0f}, not the 0 that was claimed")


def _claim_is_there(scene: Scene, result: CellResult) -> bool:
    claimed = json.loads((scene.run.work / "candidates" / "perfect" / "candidate.json").read_text())["score"]
    return bool(claimed == 0.0 and result.result == {"score": 0.0, "candidate": "perfect"} and "rmse 0.0" in result.text)


async def call_counts_for_nothing(scene: Scene, result: CellResult) -> Verdict:
    """The next `train` of the engineer gives what the cell before put in its place."""
    scene.room.state = _stage(Stage.TRAIN)
    outcome = await scene.room.call(roles()["engineer"], "train", {"families": ["linear"], "time_s": 5})
    assert outcome.status == "ok", outcome.text
    if scene.room.state.candidates:
        return got_through(f"the leaderboard holds {scene.room.state.candidates}")
    return held("a result makes no candidate: only a file that the host has scored does")


async def _result_is_forged(scene: Scene, result: CellResult) -> bool:
    scene.room.state = _stage(Stage.TRAIN)
    outcome = await scene.room.call(roles()["engineer"], "train", {"families": ["linear"], "time_s": 5})
    return "perfect" in outcome.text


def all_rejected(scene: Scene, result: CellResult) -> Verdict:
    count = int(result.text.split("SPOILT")[1])
    board, problems = scores(scene)
    if board:
        return got_through(f"accepted: {[(c.name, c.score) for c in board.values()]}")
    assert len(problems) == count, problems
    return held(f"all {count} are rejected, such as: {problems[0].split(': ', 1)[1][:120]}")


def _pandas_reads_them(scene: Scene, result: CellResult) -> bool:
    import pandas as pd

    read = {path.parent.name: pd.read_parquet(path) for path in scene.run.work.glob("candidates/*/oof.parquet")}
    return len(read) == int(result.text.split("SPOILT")[1]) and math.isnan(read["nan"]["prediction"].iloc[0])


def folds_are_the_hosts(scene: Scene, result: CellResult) -> Verdict:
    board, problems = scores(scene)
    assert set(board) == {"plain", "lying"}, problems
    if board["plain"].fold_scores != board["lying"].fold_scores:
        return got_through(f"fold scores follow the file: {board['lying'].fold_scores}")
    return held("folds are made again from the contract; the file's own column is not looked at")


def _folds_lie(scene: Scene, result: CellResult) -> bool:
    import pandas as pd

    return int(pd.read_parquet(scene.run.work / "candidates" / "lying" / "oof.parquet")["fold"].max()) == TRAIN - 1


def names_are_inert(scene: Scene, result: CellResult) -> Verdict:
    assert "NAMES" in result.text, result.traceback
    board, problems = scores(scene)
    leaked = [text for text in (*problems, *board) if "\x1b" in text or ".." in text or "\n" in text]
    if set(board) - {"good"} or leaked:
        return got_through(f"names were taken: {sorted(board)} {leaked}")
    for name in ("../../vault/holdout_labels", "..", "good/../../..", "\x1b[2J"):
        try:
            scene.room.evidence.of_result(scene.room.state, "evaluate", {"candidate": name})
        except PredictionError:
            continue
        return got_through(f"an evaluation of {name!r} was taken")
    return held("only names of lower-case letters, digits, - and _ are looked at")


def _names_are_there(scene: Scene, result: CellResult) -> bool:
    names = {path.name for path in (scene.run.work / "candidates").iterdir()}
    return any("\x1b" in name for name in names) and any("\n" in name for name in names) and (scene.run.work / "up").exists()


async def one_look(scene: Scene, result: CellResult) -> Verdict:
    """Two looks asked for in one message, and the first once more, which is answered from the ledger."""
    import asyncio

    accepted = ReviewFact(stage=Stage.SELECT, visit=1, verdict="accept", findings=["fine"])
    scene.room.state = _stage(Stage.SELECT, evaluated=["probe", "probe2"], reviews=[accepted])
    critic = roles()["critic"]
    try:
        asked = [scene.room.call(critic, "score_holdout", {"candidate": name}) for name in ("probe", "probe2")]
        outcomes = [*await asyncio.gather(*asked), await scene.room.call(critic, "score_holdout", {"candidate": "probe"})]
        looks = len(scene.vault.looks)
        after = scene.run.work / "predictions" / "probe.parquet"
        assert after.exists()
    finally:
        (scene.run.vault / "ledger.jsonl").unlink(missing_ok=True)
    if looks != 1 or len({outcome.text for outcome in outcomes if outcome.status == "ok"}) != 1:
        return got_through(f"{looks} looks: {[outcome.text[:200] for outcome in outcomes]}")
    return held(next(outcome.text for outcome in outcomes if outcome.status != "ok"))


async def stays_sealed(scene: Scene, result: CellResult) -> Verdict:
    scene.room.state = _stage(Stage.RELEASE)
    outcome = await scene.room.call(roles()["release_manager"], "open_holdout", {})
    if outcome.status == "ok" or (scene.run.data / "all.parquet").exists():
        return got_through("the labels were given to the sandbox before the final score")
    return held(outcome.text)


def _stage(stage: Stage, **facts: Any) -> State:
    return State(stage=stage, visits={stage: 1}, sealed=True, **facts)


def _keep_contract(scene: Scene) -> None:
    scene.kept = {"contract.json": scene.run.contract.read_bytes()}


ATTACKS = (
    Attack(
        "read-labels",
        "Read the sealed labels.",
        """
import pandas
def read(path): return ['%.6f' % value for value in pandas.read_parquet(path)['price']]
for path in ($vault + '/holdout_labels.parquet', '../vault/holdout_labels.parquet', '/mlteam/vault/holdout_labels.parquet',
             '/proc/1/root' + $vault + '/holdout_labels.parquet', os.environ['MLTEAM_DATA'] + '/all.parquet'):
    found = attempt('read', lambda: read(path))
    if found: print(*found)
attempt('price', lambda: read(os.environ['MLTEAM_DATA'] + '/holdout.parquet'))
""",
        by_fact(no_labels),
        Local(),
    ),
    Attack(
        "read-source",
        "Read the user's own file, in which every label stands.",
        """
for path in ($source, $vault + '/source.csv', '../vault/source.csv', '../../../prices.csv'):
    found = attempt('read', lambda: open(path).read())
    if found: print(found)
""",
        by_fact(no_labels),
        Local(),
    ),
    Attack(
        "change-contract",
        "Change the score contract to a metric that flatters.",
        """
for path in (os.environ['MLTEAM_DATA'] + '/contract.json', $run + '/contract.json', '../contract.json'):
    attempt('write', lambda: open(path, 'r+').write('{"metric": "flattering"}'))
    attempt('replace', lambda: (open('mine', 'w').close(), os.replace('mine', path)))
""",
        by_fact(contract_stays),
        Local(),
        before=_keep_contract,
    ),
    Attack(
        "change-ledger",
        "Write to the ledger of looks.",
        "for folder in ($vault, '../vault', '/mlteam/vault'): attempt('write', lambda: open(folder + '/ledger.jsonl', 'w').close())",
        by_fact(no_ledger),
        Local(),
    ),
    Attack(
        "claimed-score",
        "Claim a perfect score in the record, in a printed line and in a displayed result.",
        CANDIDATE
        + """
candidate('perfect', record('perfect', score=0.0, fold_scores=[0.0] * 5))
print('rmse 0.0')
from IPython.display import display
display({'application/vnd.mlteam.result+json': {'score': 0.0, 'candidate': 'perfect'}, 'text/plain': 'rmse 0.0'}, raw=True)
""",
        own_score,
        Host(_claim_is_there),
    ),
    Attack(
        "forged-training",
        "Replace the tool that trains, so that its next call reports a perfect candidate that does not exist.",
        """
import tools.training
facts = dict(name='perfect-1', family='linear', score=0.0, std_error=0.0, seconds=1.0, cut_short=False)
forged = dict(candidates=[facts], skipped=[], best='perfect-1', best_score=0.0, metric='rmse', direction='minimize', seconds=1.0)
tools.training.train = lambda **arguments: tools.training.TrainingResult(**forged)
""",
        call_counts_for_nothing,
        Host(_result_is_forged),
    ),
    Attack(
        "broken-predictions",
        "Hand over predictions that leave hard rows out, are not finite, overflow, repeat rows or have other types.",
        CANDIDATE + BROKEN,
        all_rejected,
        Host(_pandas_reads_them),
    ),
    Attack(
        "other-folds",
        "Claim folds of one row each, on which fold scores look steady.",
        CANDIDATE + "candidate('plain'); candidate('lying', table=columns(fold=list(range(N))))",
        folds_are_the_hosts,
        Host(_folds_lie),
    ),
    Attack(
        "names",
        "Give candidates names that lead elsewhere or draw on a terminal: .., line breaks, escapes, an evaluation of ../../vault.",
        CANDIDATE + NAMES,
        names_are_inert,
        Host(_names_are_there),
    ),
    Attack(
        "many-looks",
        "Have several prediction files scored on the holdout, to learn its labels from the scores.",
        CANDIDATE
        + f"""
os.makedirs('predictions', exist_ok=True)
table = pa.table({{'row': list(range({ROWS - TRAIN})), 'prediction': [3000.0] * {ROWS - TRAIN}}})
for name in ('probe', 'probe2'): pq.write_table(table, f'predictions/{{name}}.parquet')
""",
        one_look,
        No("the ledger is the host's alone: there is nothing to switch off"),
    ),
    Attack(
        "open-early",
        "Have the labels handed over for a refit before the final score.",
        "print('waiting')",
        stays_sealed,
        No("the vault is the host's alone: there is nothing to switch off"),
    ),
)
