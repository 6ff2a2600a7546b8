"""The model card and the summary: valid by their schema, inert, and on record."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reports.experiment_summary import write_summary
from reports.model_card import SECTIONS, BadCard, validate, write_card
from tests.reports.written import Written, examined, finished

HOSTILE = "a|b `c` <b>x</b> [y](z) 😀 $1$ # 7"


def test_the_card_has_all_sections_and_metadata_that_a_hub_takes(tmp_path: Path) -> None:
    card = write_card(finished(tmp_path, name=HOSTILE).path).read_text()
    metadata = validate(card)
    assert metadata.pipeline_tag == "tabular-classification"
    assert metadata.index[0].results[0].metrics[0].value == 0.9777
    assert metadata.license == "unknown"
    assert "<b>" not in card
    assert "[y](z)" not in card
    assert "The packaged model" in card


def test_the_card_speaks_of_this_table_and_this_model(tmp_path: Path) -> None:
    card = write_card(finished(tmp_path, goal="Tell them apart.").path).read_text()
    assert "lightgbm-1, of the family lightgbm, made on " in card
    assert "From the columns 'Mass', 'Depth' of a row it gives one of the classes 'MALE', 'FEMALE', with the probability of each." in card
    assert "It was made for this wish: Tell them apart." in card
    assert "- 'Mass' from 1 to 3" in card
    assert "any other class of 'Sex'" in card
    assert "By their names these columns tell of persons what laws protect in many places: 'Sex'. Groups were not compared." in card
    assert "No column was found to hold personal data." in card
    assert "when ROC AUC falls below 0.9483, it is time to fit anew." in card


def test_the_card_tells_where_it_errs(tmp_path: Path) -> None:
    assert "Mass &#62; 4200 and Depth = 'a': 0.4321 in 61 rows, 0.1234 elsewhere" in write_card(examined(tmp_path).path).read_text()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda card: card.replace("---\n", "", 1), "no front matter"),
        (lambda card: card.replace("license: unknown", "licence: unknown"), "licence"),
        (lambda card: card.replace("pipeline_tag: tabular-classification", "pipeline_tag: guessing"), "pipeline_tag"),
        (lambda card: card.replace("## Out of scope", "## Out of mind"), "missing: \\['Out of scope'\\]"),
    ],
)
def test_a_card_that_is_not_so_is_refused(tmp_path: Path, wrong: object, told: str) -> None:
    card = write_card(finished(tmp_path).path).read_text()
    with pytest.raises(BadCard, match=told):
        validate(wrong(card))  # type: ignore[operator]


def test_a_run_that_has_only_begun_has_a_valid_card_and_a_summary(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.enter("plan")
    assert list(SECTIONS) == re.findall(r"^## (.+)$", write_card(w.run.path).read_text(), re.MULTILINE)
    assert "unfinished and stands in stage plan" in write_summary(w.run.path).read_text()


def test_the_summary_has_the_commands_that_make_the_run_again(tmp_path: Path) -> None:
    run = finished(tmp_path)
    summary = write_summary(run.path).read_text()
    assert summary == write_summary(run.path).read_text()
    assert "mlteam run data.csv --target Sex --time 30s" in summary
    assert "jupyter nbconvert --to notebook --execute notebook.ipynb" in summary
    assert f"mlteam predict runs/{run.name}" in summary
