"""What reports take from the order of events."""

from __future__ import annotations

from reports.chronicle import model_uses
from team.events import ModelCalled


def called(role: str, *, estimated: bool) -> ModelCalled:
    return ModelCalled(
        turn=1,
        role=role,
        provider="openai",
        model="m",
        input_tokens=10,
        output_tokens=2,
        usd=None,
        seconds=1.0,
        finish_reason="stop",
        estimated=estimated,
    )


def test_calls_whose_tokens_nobody_counted_are_known_as_such() -> None:
    uses = model_uses([called("writer", estimated=True), called("writer", estimated=False), called("critic", estimated=False)])
    assert {use.role: (use.calls, use.estimated) for use in uses} == {"writer": (2, 1), "critic": (1, 0)}
