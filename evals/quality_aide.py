"""AIDE (Jiang and others, 2025) on one table: a tree search over programs that a language model writes.

Called as `quality_rivals.py` is, with the model at the end:

    python quality_aide.py aide TABLE SECONDS SEED OUT openai:MODEL[@BASE_URL]

AIDE reads its key and address from OPENAI_API_KEY and OPENAI_BASE_URL, or from ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL. The predictions of
the best program so far are kept after every step, and the tokens after every reply, so what it has when its time is over counts.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Meta = dict[str, Any]
SPEC = re.compile(r"(?P<provider>[a-z]+):(?P<model>[^@\s]+(?:@\d+)?)(?:@(?P<url>\S+))?")
"""As `team.models.endpoint` has it, which AIDE's environment lacks the packages for."""
MOST_STEPS = 1000
PAUSE_S = 2.0
"""Behind a step that failed, as all will where no model answers."""
LOOK_S = 5.0
"""How often it is looked, behind the end of the time, whether there is something to give."""
SILENCE = "Backoff exception: "
"""What AIDE logs before it asks again, as often as it takes, where a model does not answer."""


class TimeOver(BaseException):
    """The time is over; none of AIDE's own handlers of exceptions is meant to hear of it."""


def goal(meta: Meta) -> tuple[str, str]:
    """What AIDE is told: the goal, and how its programs are judged."""
    columns = ", ".join(f"proba_{name}" for name in meta["classes"]) or "prediction"
    wish = (
        f"Predict the column {meta['target']!r}: learn from input/train.csv, and predict every row of input/test.csv, in its order. "
        f"working/submission.csv must have a row a row of test.csv and exactly these columns: {columns}. "
    )
    return wish, f"{meta['metric']} on rows that were held back"


class Counted:
    """What replies of the model took, kept in a file after each."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._used = {"tokens_in": 0, "tokens_out": 0}
        self.replies = 0
        self._keep()

    def __call__(self, query: Callable[..., Any]) -> Callable[..., Any]:
        """A way to ask the model that adds up the tokens, and reads a call of a function that stands in the reply's text.

        Args:
            query: of one of AIDE's backends; gives the reply, its seconds, its tokens in and out, and facts.
        """

        def ask(*words: Any, **named: Any) -> Any:
            output, seconds, tokens_in, tokens_out, facts = query(*words, **named)
            self.replies += 1
            self._used["tokens_in"] += int(tokens_in or 0)
            self._used["tokens_out"] += int(tokens_out or 0)
            self._keep()
            if named.get("func_spec") is not None and isinstance(output, str):
                output = call_in(output, named["func_spec"].json_schema["required"]) or output
            return output, seconds, tokens_in, tokens_out, facts

        return ask

    def _keep(self) -> None:
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(self._used))
        partial.replace(self._file)


def call_in(text: str, required: Sequence[str]) -> dict[str, Any] | None:
    """The arguments of a function call that a model wrote into its text as JSON, as small models do; None where there are none.

    Args:
        required: names that they must have.
    """
    decoder, at = json.JSONDecoder(), text.find("{")
    while at >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at = text.find("{", at + 1)
            continue
        given = found.get("arguments", found.get("parameters", found))
        if isinstance(given, dict) and set(required) <= set(given):
            return given
        at = text.find("{", end)
    return None


class Silence(logging.Handler):
    """Tells that the model did not answer, and keeps why it did not the last time."""

    why = ""

    def emit(self, record: logging.LogRecord) -> None:
        if (said := record.getMessage()).startswith(SILENCE):
            self.why = said.removeprefix(SILENCE)
            print(f"aide: no reply, and it asks again: {self.why}", file=sys.stderr, flush=True)


@contextmanager
def ended_after(seconds: float, given: Callable[[], bool], again_s: float = LOOK_S) -> Iterator[None]:
    """Raise `TimeOver` in the block once the time is over and nothing is gained by going on.

    Args:
        given: whether that is so; it is asked at the end of the time, and again and again behind it.
        again_s: seconds between two times.
    """

    def look(*_: object) -> None:
        if given():
            raise TimeOver

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, seconds, again_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def search(meta: Meta, table: Path, seconds: float, out: Path, spec: str) -> None:
    """Search until the time is over: what runs then is left where there are predictions, and else goes on to the end of its step.

    Raises:
        SystemExit: when nothing was made that AIDE takes for sound; says why.
    """
    provider, model, url = parts_of(spec, os.environ)
    predictions, counted, silence = out / "predictions.csv", Counted(out / "usage.json"), Silence()
    from aide import Experiment, backend

    backend.determine_provider = lambda _: provider  # by the spec, where AIDE goes by the model's name
    backend.backend_openai.OPENAI_BASE_URL = url or backend.backend_openai.OPENAI_BASE_URL  # a GPT's, whatever the variable says
    logging.getLogger("backoff").propagate = False
    log = logging.getLogger("aide")
    log.handlers, log.propagate = [silence], False  # what else it logs are prompts and replies, in which the last words would be lost
    log.setLevel(logging.INFO)
    asked = backend.provider_to_query_func
    asked.update({name: counted(query) for name, query in asked.items()})
    data = out / "input"
    data.mkdir()
    for name in ("train.csv", "test.csv"):
        shutil.copy(table / name, data / name)
    experiment = Experiment(str(data), *goal(meta))
    for part in (experiment.cfg.agent.code, experiment.cfg.agent.feedback):
        part.model = model
    experiment.interpreter.timeout = max(1, round(seconds))
    made = Path(experiment.cfg.workspace_dir) / "working" / "submission.csv"
    said, end = "", time.monotonic() + seconds
    try:
        with ended_after(seconds, lambda: predictions.exists() or not counted.replies):
            for _ in range(MOST_STEPS):
                if time.monotonic() >= end:
                    break
                made.unlink(missing_ok=True)  # that of another program is none of the next one's
                try:
                    experiment.agent.step(exec_callback=experiment.interpreter.run)
                except Exception as error:  # a reply that is no review, or no model; the next step asks anew
                    said = f"{type(error).__name__}: {error}"
                    print(f"aide: a step ended in {said}", file=sys.stderr, flush=True)
                    time.sleep(min(PAUSE_S, max(0.0, end - time.monotonic())))
                    continue
                if experiment.journal.get_best_node() is experiment.journal.nodes[-1] and made.exists():
                    partial = predictions.with_suffix(".partial")
                    shutil.copy(made, partial)
                    partial.replace(predictions)
    except TimeOver:
        print("aide: the time is over", file=sys.stderr, flush=True)
    finally:
        experiment.interpreter.cleanup_session()
    if not counted.replies:
        sys.exit(f"aide: {spec} gave no reply in {seconds:g} s{f': {why}' if (why := said or silence.why) else ''}")
    if not predictions.exists():
        steps = len(experiment.journal.nodes)
        sys.exit(f"aide: none of {steps} programs made a submission that it took for sound{f'; a step ended in {said}' if said else ''}")


def parts_of(spec: str, environ: MutableMapping[str, str]) -> tuple[str, str, str | None]:
    """Provider, model and address of a spec.

    Args:
        environ: has the address where the spec has none, and gets what the SDKs look for there.
    """
    found = SPEC.fullmatch(spec)
    if found is None:
        sys.exit(f"aide: {spec!r} is no model; expected openai:MODEL[@URL] or anthropic:MODEL[@URL]")
    provider, model = found["provider"], found["model"]
    variable = f"{provider.upper()}_BASE_URL"
    url = found["url"] or environ.get(variable) or None
    if url:
        environ[variable] = url
        environ.setdefault(f"{provider.upper()}_API_KEY", "none")  # servers of one's own ask for no key, but the SDKs want one
    return provider, model, url


def main() -> None:
    table, seconds, out = Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[5])
    meta = json.loads((table / "meta.json").read_text())
    search(meta, table, seconds, out, sys.argv[6])


if __name__ == "__main__":
    main()
