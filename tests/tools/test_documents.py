"""Prose by slot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hosting import Hosting
from tools.documents import SLOTS, build_report, write_section
from tools.planning import record_plan
from tools.spec import ToolRefused


def test_sections_are_kept_by_slot_and_the_missing_ones_are_told(tmp_path: Path) -> None:
    h = Hosting(tmp_path, "sklearn:iris")
    assert write_section(h.host, "summary", "One.").missing == list(SLOTS[1:])
    write_section(h.host, "summary", "Two words.")
    assert json.loads(h.run.sections.read_text()) == {"summary": "Two words."}


def test_a_report_needs_prose(tmp_path: Path) -> None:
    with pytest.raises(ToolRefused, match="write at least the summary first"):
        build_report(Hosting(tmp_path, "sklearn:iris").host)


def test_a_plan_is_put_on_record(tmp_path: Path) -> None:
    h = Hosting(tmp_path, "sklearn:iris")
    plan = record_plan(h.host, "Approach.", ["Step."], ["linear"], [])
    assert json.loads(h.run.plan.read_text()) == plan.model_dump()
