"""The client of `replay:RUN`: gives the recorded answers of a run again, as long as it is asked what that run asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage
from pydantic import ValidationError

from team.errors import Diverged, EmptyReply, ReplyCut, UsageError
from team.models.answers import read_answer
from team.models.delegating import DelegatingClient
from team.models.requests import Asked, asked, difference

FILE = "replies.jsonl"
Line = tuple[Asked, dict[str, Any] | None, str | None]
"""A request, and its answer or how it failed."""


class ReplayClient(DelegatingClient):
    """Gives the answer that was given at the same place of the recorded run; alone, one after the other in the order of the file.

    Args:
        recording: a run directory, or its `replies.jsonl`.
        inner: tells what the model is like; it is never asked.

    Raises:
        UsageError: when there is no recording, or one of a run whose requests were not kept.
    """

    component_provider_override = "team.models.replay.ReplayClient"

    def __init__(self, recording: Path, inner: ChatCompletionClient) -> None:
        super().__init__(inner)
        self._recording = recording
        self._lines = _read(recording)
        self._in_order = iter(self._lines)
        self.place = ""
        """`turn/role/call` of the next request, set by whoever knows it."""
        self.diverged: Diverged | None = None
        """The first divergence, for who must not take it for a model's failure."""

    async def create(self, messages: Sequence[LLMMessage], **options: Any) -> CreateResult:
        """The recorded answer.

        Raises:
            Diverged: naming the request and the first thing in which it differs.
            ReplyCut, EmptyReply, RuntimeError: where the model failed in the recorded run.
        """
        now = asked(messages, options.get("tools", ()))
        place = self.place or next(self._in_order, "the end")
        line = self._lines.get(place)
        if line is None:
            raise self._stop(f"nothing was asked at {place}")
        before, answer, error = line
        if (found := difference(before, now)) is not None:
            raise self._stop(f"at {place} {found}")
        for kind in (ReplyCut, EmptyReply):  # whoever asked told the model, and asked again
            if answer is None and str(error).startswith(f"{kind.__name__}: "):
                raise kind(f"{error} (recorded)")
        if answer is None:
            raise RuntimeError(f"{error} (recorded)")
        return read_answer(answer)

    def _stop(self, why: str) -> Diverged:
        diverged = Diverged(
            f"the run parts from its recording {self._recording}: {why}."
            " Run it with what the recording was made with, or ask a model again."
        )
        self.diverged = self.diverged or diverged
        return diverged


def _read(recording: Path) -> dict[str, Line]:
    path = recording / FILE if recording.is_dir() else recording
    if not path.is_file():
        raise UsageError(f"replay:{recording} holds no {FILE}; name the directory of a run whose roles were played by a model.")
    lines: dict[str, Line] = {}
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            document = json.loads(text)
            request = Asked.model_validate(document["request"])
        except (ValueError, KeyError, ValidationError) as error:
            why = f"{path}, line {number}, is no recorded answer: {type(error).__name__}"
            raise UsageError(f"{why}; a run of an older version did not keep its requests.") from None
        # A turn that was cut off and gone through again stands there twice; the answers that were acted on come last.
        lines[document["place"]] = (request, document.get("answer"), document.get("error"))
    if not lines:
        raise UsageError(f"{path} is empty: no model was asked in that run, so there is nothing to replay.")
    return lines
