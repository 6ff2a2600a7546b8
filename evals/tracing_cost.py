"""What tracing takes of a run's processor time: measured part by part on a real run, since the difference of two runs is all noise.

The events of a run that has ended are made into spans once more, written and sent to a sink that takes OTLP; what a kernel takes to time
a block is measured in a kernel. All are seconds of processor time, of this process and of the kernel's.
"""

from __future__ import annotations

import asyncio
import os
import resource as usage
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from team.events import WorkTimed
from team.log import read_events
from team.sandbox import open_kernel
from team.telemetry import Tracer
from team.timings import Timings
from team.trace_export import Exports, resource, wished
from team.trace_ids import TraceIds

ROUNDS = 20
"""How often a run's spans are made, and the mean taken: a single time is below what the clock can tell."""
BLOCKS = 1_500
SINK = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): ...
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""
IMPORTED = """
import time
began = time.process_time()
import opentelemetry.sdk.resources, opentelemetry.sdk.trace.export
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
print(time.process_time() - began)
"""
TIMED = """
import time
from tools.spans import timed
began = time.process_time()
for number in range({blocks}):
    with timed("fit", family="lightgbm", candidate="lightgbm-1", fold=number % 5, repeat=0, rows=1000) as timing:
        timing.tell(iterations=100, cut_short=False, device="cpu")
print(time.process_time() - began)
"""


def tracing_figures() -> dict[str, float]:
    """Spans of a run, processor seconds of the run, and those of tracing in it: `import_s`, `host_s`, `otlp_s` and `kernel_s`."""
    from team.run import start
    from team.settings import load_settings

    with tempfile.TemporaryDirectory() as out:
        asked = {"source": "sklearn:breast_cancer", "target": "target", "time": "20s", "out": out, "sandbox": "unsafe-local"}
        before = _processor()
        run = Path(start(load_settings(asked))["run"])
        spent = _processor() - before
        events = list(read_events(run / "events.jsonl"))
    timed = sum(len(event.spans) for event in events if isinstance(event, WorkTimed))
    spans, host = _made(events, {})
    with subprocess.Popen([sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True) as sink:
        try:
            assert sink.stdout is not None
            address = f"http://127.0.0.1:{sink.stdout.readline().strip()}"
            _, sending = _made(events, {"OTEL_EXPORTER_OTLP_ENDPOINT": address})
        finally:
            sink.kill()
    kernel = asyncio.run(_kernel_block_s())
    told = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True).stdout
    return {
        "spans": spans,
        "run_s": spent,
        "import_s": float(told),
        "host_s": host,
        "otlp_s": max(0.0, sending - host),
        "kernel_s": timed * kernel,
    }


def _made(events: list[Any], environment: dict[str, str]) -> tuple[int, float]:
    """How many spans the events give, and the processor seconds that it takes to make, write and send them."""
    spans, seconds = 0, 0.0
    os.environ.update(environment)
    try:
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                before = time.process_time()
                exports = Exports(Path(folder, "traces.jsonl"), wished(None, environment), close_s=30.0)
                tracer = Tracer("run", exports.take, resource())
                for event in events:
                    tracer(event)
                troubles = exports.close()
                seconds += time.process_time() - before
                assert not troubles, troubles
                spans = len(Path(folder, "traces.jsonl").read_text().splitlines())
    finally:
        for name in environment:
            del os.environ[name]
    return spans, seconds / ROUNDS


async def _kernel_block_s() -> float:
    """Processor seconds that one timed block takes in a kernel, and the host takes to read it."""
    ids = TraceIds(1)
    with tempfile.TemporaryDirectory() as work:
        async with open_kernel("unsafe-local", work=Path(work)) as kernel:
            await kernel.execute("import tools.spans")
            timings = Timings()
            before = time.process_time()
            cell = await kernel.execute(
                TIMED.format(blocks=BLOCKS), on_output=timings.take, metadata={"traceparent": ids.traceparent(ids.cell("c", 0))}
            )
            reading = time.process_time() - before
    assert len(timings.spans) == BLOCKS, (cell.text, timings.left_out)
    return (float(cell.text) + reading) / BLOCKS


def _processor() -> float:
    """Seconds of this process and of those that it has waited for."""
    return sum(one.ru_utime + one.ru_stime for one in (usage.getrusage(usage.RUSAGE_SELF), usage.getrusage(usage.RUSAGE_CHILDREN)))
