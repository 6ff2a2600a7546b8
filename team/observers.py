"""What follows a run's event log and has no say in the run: traces, metrics, and trackers while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from team.approval import Approval
from team.checkpoint import CutOff
from team.events import Event
from team.exporting import MetricsExport
from team.host import Host
from team.journal import Journal
from team.live_tracking import LiveTracking
from team.rundir import RunDir
from team.settings import Settings
from team.stages import State
from team.telemetry import Tracer
from team.trace_export import Exports, resource, wished
from team.trace_ids import TraceIds
from tools.contract import Contract


class Observers:
    """Of one run, made before anything else of it is open, since a port that is taken is refused.

    Args:
        cut_off: where an earlier process left the run; None for a new one.

    Raises:
        UsageError: when the port of the metrics cannot be had.
    """

    def __init__(self, run: RunDir, settings: Settings, cut_off: CutOff | None) -> None:
        self._run = run
        self._before: Sequence[Event] = cut_off.events if cut_off else ()
        self._metrics = MetricsExport(run, settings.metrics_port, self._before)
        self._exports = Exports(run.traces, wished(settings.mlflow_server))
        written = self._exports.file
        self._tracer = Tracer(
            run.name,
            self._exports.take,
            resource(),
            ids=written.trace,
            before=self._before,
            forked=cut_off is not None and cut_off.fork_of is not None,
            written=written.written,
            capture=settings.capture_content,
        )
        self._live: LiveTracking | None = None

    def follow(self, log: Journal) -> None:
        """Begin with traces and metrics."""
        log.subscribe(self._tracer)
        log.subscribe(self._metrics)

    def track(self, log: Journal, host: Host, approval: Approval, contract: Callable[[], Contract], standing: Callable[[], State]) -> None:
        """Begin with the trackers. Those that a person has to be asked about hear of the run when that person has allowed it."""
        told = host.trackers.names if not approval.asks("track_run", outside=False) else ()
        at_once = tuple(name for name in host.trackers.names if name in told or name not in host.trackers_outside)
        self._live = LiveTracking(self._run, host.trackers, at_once, contract, standing, self._before)
        log.subscribe(self._live)

    @property
    def ids(self) -> TraceIds | None:
        """Ids of the run's trace; None before its first event."""
        return self._tracer.ids

    def troubles(self) -> list[str]:
        """What could not be exported so far, once each."""
        return self._exports.troubles()

    def ended(self, status: str) -> None:
        """Tell trackers that would show the run as going on for ever."""
        if self._live is not None:
            self._live.end(status)

    def close(self) -> list[str]:
        """Export what waits. It can be called twice.

        Returns:
            What could not be exported since `troubles` was asked.
        """
        self._metrics.close()
        return self._exports.close()
