from __future__ import annotations

from evals.weak_models import OURS, PLAIN, compare, table
from tests.scripted import ScriptedClient

CALL = 'I will train now.\n```json\n{"name": "train", "arguments": {"families": ["lightgbm", "linear"], "time_s": 20}}\n```'


async def test_a_call_in_words_is_made_with_recovery_alone() -> None:
    client = ScriptedClient([CALL, CALL, "Both are fitted."])
    tries = await compare(client, ["Train LightGBM and a linear model for 20 seconds."])
    client.assert_complete()
    ran = {one.who: one.executed for one in tries}
    assert ran == {PLAIN: [], OURS: ["train(families=['lightgbm', 'linear'], time_s=20.0)"]}
    assert "| **prompts that led to a call** | 0 of 1 | 1 of 1 |" in table(tries)


async def test_a_call_that_is_made_as_one_runs_in_both() -> None:
    client = ScriptedClient([("prepare", {"drop": ["name"]}), "Prepared."] * 2)
    tries = await compare(client, ["Prepare the table, and leave out the column 'name'."])
    assert [one.executed for one in tries] == [["prepare(drop=['name'])"]] * 2
    assert [one.said for one in tries] == ["Prepared."] * 2
