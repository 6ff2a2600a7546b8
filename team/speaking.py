"""One role's turn: its briefing, what it says and does, and the playbook in its place where its model fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from team.briefing import SAID_SHOWN, brief
from team.cast import Cast, last_words
from team.casting import PLAYBOOK
from team.events import FellBack, TurnEnded, TurnStarted
from team.journal import Journal
from team.models.recovering import NO_WORDS
from team.objections import answered
from team.stages import Stage
from team.toolroom import Toolroom


class Speaking:
    """Has the roles of one run speak.

    Attributes:
        thread: what was said last, role and text.
    """

    def __init__(
        self, room: Toolroom, log: Journal, cast: Cast, thread: Sequence[tuple[str, str]], words: Callable[[], Sequence[str]]
    ) -> None:
        """Keep what a turn takes.

        Args:
            words: what the user has said to the team.
        """
        self._room, self._log, self._cast, self._words = room, log, cast, words
        self.thread = list(thread)

    async def turn(self, number: int, role: str, stage: Stage) -> None:
        """The role's turn; when its model fails, the playbook takes it over, from what the tools have done by then."""
        model = self._cast.model(role)
        briefing, begun = self._open(number, role, stage, model), time.perf_counter()
        try:
            last = await self._cast.group(model).turn(role, briefing)
        except Exception as error:  # of AutoGen, a provider or a role's code: whatever it is, the turn is the playbook's
            self._raise_fatal()
            reason = last_words(error)
            self._log.append(TurnEnded(turn=number, role=role, status="failed", seconds=time.perf_counter() - begun, error=reason))
            if model == PLAYBOOK:
                self._room.trouble = f"the {role} failed: {reason}"
                return  # a turn without a fact: a few of them end the stage, one of them need not end the run
            self._log.append(FellBack(stage=stage, role=role, reason=self._cast.why_fallen_back(model, reason)))
            briefing, begun = self._open(number, role, stage, PLAYBOOK), time.perf_counter()
            try:
                last = await self._cast.group(PLAYBOOK).turn(role, briefing)
            except Exception as second:  # as above; a turn without a fact
                self._raise_fatal()
                self._room.trouble = f"the {role} failed: {second}"
                return
        else:
            self._cast.succeeded(model)
        self._raise_fatal()
        self.thread = [*self.thread, (role, last)][-SAID_SHOWN:]
        if role != "critic":
            words = "" if last in NO_WORDS else last
            room = self._room
            room.state = room.evidence.of_answer(room.state, lambda one: answered(one, role, room.done_well, words))
        self._log.append(TurnEnded(turn=number, role=role, status="ok", seconds=time.perf_counter() - begun))

    def _open(self, number: int, role: str, stage: Stage, model: str) -> str:
        """The briefing of a turn that begins, which tells a model of what a turn before left, and the playbook all of it."""
        host = self._room.host
        briefing = self._log.briefing(number) or brief(
            self._room.state,
            host.wish,
            self._room.meter,
            host.vault.contract if host.vault.sealed else None,
            host.run.name,
            self.thread,
            words=self._words(),
            short=model != PLAYBOOK,
        )
        self._log.append(TurnStarted(turn=number, role=role, stage=stage, briefing=briefing))
        return briefing

    def _raise_fatal(self) -> None:
        """Raise what a tool call met that no role can mend, or a replay that went another way than its recording."""
        if self._room.fatal is not None:
            raise self._room.fatal
        if self._cast.diverged is not None:
            raise self._cast.diverged
