"""When boosting stops."""

from __future__ import annotations

from tools.deadline import Deadline
from tools.families.boosting import FEWEST_ITERATIONS, Watch


def test_boosting_that_is_over_its_time_before_it_begins_still_makes_a_few_trees() -> None:
    watch = Watch(Deadline(0.0))
    stopped = next(iteration for iteration in range(1, 100) if watch.stop(iteration, loss=1.0 / iteration))
    assert (stopped, watch.cut_short) == (FEWEST_ITERATIONS, True)


def test_boosting_whose_model_nobody_waits_for_stops_at_once() -> None:
    whole = Deadline(100)
    watch = Watch(whole.share(50))
    assert not watch.stop(1, loss=1.0)
    whole.end()
    assert watch.stop(2, loss=0.5)
