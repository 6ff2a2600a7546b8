"""Messages to the host that are too large, too deep, false, forged, or numbers that break arithmetic."""

from __future__ import annotations

import asyncio
import json
import re
import time

from team.console import LiveView
from team.events import ProgressMade, ToolReturned
from team.log import read_events
from team.ongoing import MOST_PROGRESS
from team.outcome import OBSERVATION_CHARS
from team.roles import roles
from team.sandbox import CellResult
from team.stages import Stage, State
from tests.escape.attack import Attack, Host, No, Verdict, got_through, held
from tests.escape.scene import Scene

RAW = """
kernel = get_ipython().kernel
RESULT, PROGRESS = 'application/vnd.mlteam.result+json', 'application/vnd.mlteam.progress+json'
def raw(kind, body, parent=None):
    session = kernel.session
    message = session.msg(kind, {}, parent=parent or kernel.get_parent())
    parts = [session.pack(message['header']), session.pack(message['parent_header']), session.pack({}), body]
    kernel.iopub_thread.send_multipart([kind.encode(), b'<IDS|MSG>', session.sign(parts), *parts])
def display(data, parent=None): raw('display_data', json.dumps({'data': data, 'metadata': {}}).encode(), parent)
"""


async def alive(scene: Scene) -> str | None:
    """Why the host cannot go on: the next cell must run, if need be in a new kernel."""
    result = await asyncio.wait_for(scene.kernel.execute("print('alive')", timeout_s=10), 40)
    if "alive" not in result.text:
        result = await asyncio.wait_for(scene.kernel.execute("print('alive')", timeout_s=10), 40)
    return None if "alive" in result.text else f"no cell runs any more ({result.status}: {result.cause})"


async def no_large_result(scene: Scene, result: CellResult) -> Verdict:
    size = len(json.dumps(result.result)) if result.result else 0
    if size > scene.kernel.limits.rich_output_bytes:
        return got_through(f"a result of {size:,} bytes was taken")
    if why := await alive(scene):
        return got_through(why)
    return held(f"messages over a limit are not received, results over {scene.kernel.limits.rich_output_bytes:,} bytes not taken")


async def no_deep_result(scene: Scene, result: CellResult) -> Verdict:
    if result.result is not None or "sent" not in result.text:
        return got_through(f"taken: {str(result.result)[:100]} {result.status}")
    if why := await alive(scene):
        return got_through(why)
    return held("a message that cannot be read is passed over")


def _json_recursion(scene: Scene, result: CellResult) -> bool:
    try:
        json.loads('{"a":' * 100_000 + "1" + "}" * 100_000)
    except RecursionError:
        return "sent" in result.text
    return False


async def wrong_shapes_refused(scene: Scene, result: CellResult) -> Verdict:
    """Calls of `train`, each answered with the next false result."""
    count = int(result.text.split("SHAPES")[1])
    seen = []
    for _ in range(count):
        scene.room.state = State(stage=Stage.TRAIN, visits={Stage.TRAIN: 1}, sealed=True)
        outcome = await scene.room.call(roles()["engineer"], "train", {"families": ["linear"], "time_s": 5})
        if outcome.status != "error" or scene.room.state.results:
            return got_through(f"taken: {outcome.text[:200]}")
        seen.append(outcome.text.splitlines()[-1][:80])
    for _ in read_events(scene.run.events):
        pass
    return held(f"all {count} refused, such as: {seen[0]}")


def _shapes_arrive(scene: Scene, result: CellResult) -> bool:
    return result.result == {"any": "thing"}


async def arithmetic_holds(scene: Scene, result: CellResult) -> Verdict:
    """Absurd numbers in a progress display and in a result, with a person watching and a report at the end."""
    from reports.html import write_report
    from reports.notebook import write_notebook

    with (scene.outside / "terminal").open("w") as terminal, LiveView(terminal) as view:
        watching = [view]
        scene.log.subscribe(lambda event: [watch(event) for watch in watching] and None)
        try:
            for name in ("train", "train"):
                scene.room.state = State(stage=Stage.TRAIN, visits={Stage.TRAIN: 1}, sealed=True)
                await scene.room.call(roles()["engineer"], name, {"families": ["linear"], "time_s": 5})
            for write in (write_report, write_notebook):
                write(scene.run.path)
        except Exception as error:  # whatever it is, it would have ended the run
            return got_through(f"{type(error).__name__}: {error}")
        finally:
            watching.clear()
    returned = [event for event in scene.events if isinstance(event, ToolReturned)]
    progress = [event for event in scene.events if isinstance(event, ProgressMade)]
    assert returned
    assert progress
    return held(f"numbers beyond 64 bits are no numbers ({returned[0].text.splitlines()[0][:80]})")


async def own_outputs_only(scene: Scene, result: CellResult) -> Verdict:
    later = await scene.kernel.execute("import time; time.sleep(1.2); print('mine')")
    if "LATE-A" in later.text or later.result == {"late": "A"}:
        return got_through("an output of the cell before is counted to this one")
    assert "mine" in later.text
    return held("outputs count to the cell whose id they carry; one that has ended gets no more")


async def _under_its_own_id(scene: Scene, result: CellResult) -> bool:
    later = await scene.kernel.execute("import time; time.sleep(1.2); print('mine')")
    return "LATE-B" in later.text and later.result == {"late": "B"}


async def goes_on_after_false_reply(scene: Scene, result: CellResult) -> Verdict:
    """A cell that says it has ended, but goes on: the next one must meet its deadline and then a fresh kernel."""
    began = time.monotonic()
    blocked = await scene.kernel.execute("print('second')", timeout_s=2)
    if why := await alive(scene):
        return got_through(why)
    if time.monotonic() - began > 40:
        return got_through(f"the host hung for {time.monotonic() - began:.0f} s")
    return held(f"the next cell {'met its deadline' if blocked.status == 'timeout' else 'ran'}, the one after ran in a kernel of its own")


def bounded_output(scene: Scene, result: CellResult) -> Verdict:
    sent = _sent(result)
    kept = len(result.text.encode())
    rich = len(json.dumps([o for o in result.outputs if o["output_type"] != "stream"]))
    limits = scene.kernel.limits
    if kept > limits.output_bytes + 1000 or rich > 2 * limits.rich_output_bytes:
        return got_through(f"{kept:,} bytes of text and {rich:,} of displays were kept")
    return held(f"of {sent:,} bytes sent, {kept:,} of text and {rich:,} of displays are kept")


def _all_is_kept(scene: Scene, result: CellResult) -> bool:
    return _sent(result) > 30_000_000


async def few_progress_events(scene: Scene, result: CellResult) -> Verdict:
    before = scene.run.events.stat().st_size
    scene.room.state = State(stage=Stage.TRAIN, visits={Stage.TRAIN: 1}, sealed=True)
    await scene.room.call(roles()["engineer"], "train", {"families": ["linear"], "time_s": 5})
    made = sum(isinstance(event, ProgressMade) for event in scene.events)
    grown = scene.run.events.stat().st_size - before
    if made > MOST_PROGRESS or grown > 5_000_000:
        return got_through(f"{made:,} events, {grown:,} bytes of log")
    assert made
    return held(f"{made:,} of 20,000 are logged")


async def short_observation(scene: Scene, result: CellResult) -> Verdict:
    scene.room.state = State(stage=Stage.TRAIN, visits={Stage.TRAIN: 1}, sealed=True)
    code = "import os; os.kill(os.getpid(), 9)"
    outcome = await scene.room.call(roles()["engineer"], "run_python", {"code": code})
    if len(outcome.text) > OBSERVATION_CHARS + 200 or "\x1b" in outcome.text:
        return got_through(f"{len(outcome.text):,} characters were shown to a role")
    return held(f"a role is shown {len(outcome.text):,} characters")


def _names_are_long(scene: Scene, result: CellResult) -> bool:
    return sum(map(len, scene.kernel.names)) > 1_000_000


ATTACKS = (
    Attack(
        "huge-result",
        "Send results of 60 and of 20 megabytes.",
        RAW
        + """
display({RESULT: {'x': 'a' * (20 << 20)}})
raw('display_data', b'{"data": {"%s": {"x": "' % RESULT.encode() + b'a' * (60 << 20) + b'"}}, "metadata": {}}')
""",
        no_large_result,
        No("without limits the control would be the whole host"),
        timeout_s=15,
        lasting=True,
    ),
    Attack(
        "deep-result",
        "Send results nested a hundred thousand levels, by the tool's MIME type and in the message's own parts.",
        RAW
        + """
nest = b'{"a":' * 100_000 + b'1' + b'}' * 100_000
raw('display_data', b'{"data": {"%s": %s}, "metadata": {}}' % (RESULT.encode(), nest))
raw('display_data', b'{"data": {"text/plain": "x"}, "metadata": %s}' % nest)
raw('stream', nest); raw('stream', b'[' * 200_000)
print('sent')
""",
        no_deep_result,
        Host(_json_recursion),
    ),
    Attack(
        "false-results",
        "Answer a tool's call with results of another shape, with NaN, with numbers of four thousand digits, or none.",
        RAW
        + """
display({RESULT: {'any': 'thing'}})
good = dict(candidates=[], skipped=[], best=None, best_score=None, metric='rmse', direction='minimize', seconds=1.0)
false = [{}, {'any': 'thing'}, good | {'candidates': 'many'}, good | {'seconds': None}, good | {'skipped': [{'name': 5, 'reason': []}]},
         good | {'seconds': float('nan')}, good | {'best_score': float('inf')}, [good], 'text', None,
         good | {'candidates': [{'score': '1; drop'}]}]
import tools.show, tools.training
tools.training.train = lambda **arguments: None
def show(result): display({RESULT: false.pop(0)})
tools.show.show = show
print('SHAPES', len(false))
""",
        wrong_shapes_refused,
        Host(_shapes_arrive),
    ),
    Attack(
        "absurd-numbers",
        "Report numbers beyond all arithmetic, so that the console or the report of the host breaks on them.",
        RAW
        + """
huge = 10 ** 4000
import tools.show, tools.training
tools.training.train = lambda **arguments: None
facts = dict(name='linear-1', family='linear', score=1e308, std_error=-1e308, seconds=1e308, cut_short=False)
good = dict(candidates=[facts], skipped=[], best='x', best_score=-1e308, metric='rmse', direction='minimize', seconds=1e308)
answers = [good | {'seconds': huge}, good]
def show(result):
    display({PROGRESS: {'n': huge, 'm': -huge, 'x': 1e308, 'deep': {'n': huge}}})
    display({RESULT: answers.pop(0)})
tools.show.show = show
""",
        arithmetic_holds,
        Host(lambda scene, result: _formats_break()),
    ),
    Attack(
        "another-calls-id",
        "Show a result late, under the id of a cell that has ended, while another runs.",
        RAW
        + """
import threading, time
first = kernel.get_parent()
def late():
    time.sleep(0.5)
    for name, parent in (('A', first), ('B', kernel.get_parent())):
        raw('stream', json.dumps({'name': 'stdout', 'text': f'LATE-{name}\\\\n'}).encode(), parent)
        display({RESULT: {'late': name}}, parent)
threading.Thread(target=late).start()
""",
        own_outputs_only,
        Host(_under_its_own_id),
    ),
    Attack(
        "early-reply",
        "Say that the cell has ended, and go on for ever.",
        """
kernel = get_ipython().kernel
parent = kernel.get_parent()
ident = kernel._parent_ident['shell'] if isinstance(kernel._parent_ident, dict) else kernel._parent_ident
kernel.session.send(kernel.shell_stream, 'execute_reply', {'status': 'ok', 'execution_count': 1}, parent, metadata={}, ident=ident)
kernel.session.send(kernel.iopub_socket, 'status', {'execution_state': 'idle'}, parent)
kernel.shell_stream.flush()
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True: time.sleep(0.05)
""",
        goes_on_after_false_reply,
        No("it is the host that is attacked, and it is the same without a sandbox"),
        timeout_s=5,
        lasting=True,
    ),
    Attack(
        "text-flood",
        "Print 300 megabytes.",
        "line = 'x' * 99 + '\\\\n'\nfor _ in range(3000): print(line * 1000, end='')\nprint('SENT', 3000 * 1000 * 100)",
        bounded_output,
        Host(_all_is_kept),
        timeout_s=60,
    ),
    Attack(
        "display-flood",
        "Show twenty thousand displays, updates and progress lines of some kilobytes each.",
        RAW
        + """
for i in range(20_000): display({'text/html': '<b>' + 'x' * 3000})
print('SENT', 20_000 * 3000)
""",
        bounded_output,
        Host(_all_is_kept),
        timeout_s=60,
    ),
    Attack(
        "progress-flood",
        "Fill the host's event log with progress, which no limit on the work folder sees.",
        RAW
        + """
import tools.show, tools.training
tools.training.train = lambda **arguments: None
def show(result):
    for i in range(20_000): display({PROGRESS: {'n': i, 'text': 'x' * 1000}})
tools.show.show = show
""",
        few_progress_events,
        No("the event log is the host's alone"),
        timeout_s=30,
    ),
    Attack(
        "names-flood",
        "Have variables with names of megabytes, and escapes in them, which the host tells when the kernel is lost.",
        "for i in range(150): get_ipython().user_ns['v%d\\x1b[2J' % i + 'x' * 20_000] = i",
        short_observation,
        Host(_names_are_long),
        lasting=True,
    ),
)


def _sent(result: CellResult) -> int:
    found = re.search(r"SENT (\d+)", result.text)
    assert found, result.traceback or result.cause
    return int(found[1])


def _formats_break() -> bool:
    try:
        f"{10**4000:,.0f}"
    except OverflowError:
        return True
    return False
