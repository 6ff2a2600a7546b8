"""What is agreed on before a run begins: asked where it is not known, changed by words, and held to its forecast."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import RenderableType

from team.chat.agreement import GREETING, Agreement
from team.errors import UsageError
from team.models import make_client
from team.settings import Settings
from tests.model_server import Say, served


class Talking:
    """A user who answers in this order."""

    def __init__(self, *answers: str) -> None:
        self._answers: Iterator[str] = iter(answers)
        self.told: list[str | RenderableType] = []
        self.asked: list[str] = []

    def tell(self, text: str | RenderableType) -> None:
        self.told.append(text)

    async def ask(self, question: str) -> str:
        self.asked.append(question)
        return next(self._answers)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("age,Churn,plan\n1,0,a\n2,1,b\n")
    return path


async def settled(talk: Talking, words: str | None, config: Path | None = None, *, yes: bool = False, **given: Any) -> Settings | None:
    given = {"sandbox": "unsafe-local", **given}
    return await Agreement(talk, given, config, yes=yes, clients=make_client, charge=lambda call: None).settle(words)


async def test_what_was_not_said_is_asked_and_words_change_the_plan(table: Path) -> None:
    talk = Talking("who will leave, in 5 minutes", str(table), "churn", "never use column plan, you have 90 s", "predict revenue", "")
    settings = await settled(talk, None)
    assert settings is not None
    assert (settings.target, settings.time) == ("Churn", 90.0)
    assert [one.told for one in settings.constraint] == ["column 'plan' is never used"]
    assert talk.asked[0] == GREETING
    assert talk.asked[1].startswith("From which table?")
    assert "Columns: age, Churn, plan" in talk.asked[2]
    assert "there is no column 'revenue'. Columns: age, Churn, plan." in talk.told


async def test_names_as_long_as_texts_leave_room_for_the_question(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text(f"{'very ' * 200}good,stars\nbad,1\n")
    talk = Talking("stars", "no")
    await settled(talk, str(path))
    assert "…, stars. Enter takes" in talk.asked[0]
    assert len(talk.asked[0]) < 400


async def test_no_is_an_answer(table: Path) -> None:
    talk = Talking("no")
    assert await settled(talk, f"predict churn in {table}") is None


async def test_bad_input_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        await settled(Talking(), f"predict churn in {tmp_path / 'nothing.csv'}")


async def test_a_model_reads_the_words_and_is_held_to_the_forecast(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    config = tmp_path / "settings.yaml"
    with served(lambda seen: Say('{"target": "Churn", "metric": "recall", "time": "90s"}')) as (url, _):
        model = f"openai:m@{url}/v1"
        config.write_text(f"prices: {{'{model}': {{input: 1, output: 10}}}}")
        talk = Talking()
        settings = await settled(talk, f"{table}: which of them would we lose?", config, yes=True, model=model)
    assert settings is not None
    assert (settings.target, settings.metric, settings.time) == ("Churn", "recall", 90.0)
    assert settings.expected_cost is not None
    assert Decimal("0.01") < settings.expected_cost < 1
    assert talk.told[0] == f"{model} reads what you want …"
