"""The model card: Markdown after the template of Mitchell et al. 2019, "Model Cards for Model Reporting", with metadata that hubs read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reports.commands import predict_command
from reports.facts import RunFacts, read_facts
from reports.figures import compact, metric_title, task_title
from reports.ledger import Ledger, check, read_ledger
from reports.markdown_page import MarkdownPage
from reports.paper_sections import title
from team.errors import MlteamError
from team.rundir import RunDir, write_atomic

SECTIONS = (
    "Model details",
    "Intended use",
    "Out of scope",
    "Factors",
    "Metrics",
    "Training data",
    "Evaluation data",
    "Ethical considerations",
    "Caveats and recommendations",
)
PipelineTag = Literal["tabular-classification", "tabular-regression", "time-series-forecasting"]
_LICENCES = {
    "cc0": "cc0-1.0",
    "mit": "mit",
    "apache-2.0": "apache-2.0",
    "cc-by-4.0": "cc-by-4.0",
    "cc by 4.0": "cc-by-4.0",
    "bsd-3-clause": "bsd-3-clause",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class MetricResult(_Strict):
    type: str = Field(pattern=r"^[a-z0-9_]+$")
    name: str = Field(min_length=1)
    value: float = Field(allow_inf_nan=False)


class TaskOf(_Strict):
    type: str = Field(pattern=r"^[a-z-]+$")
    name: str


class DatasetOf(_Strict):
    type: str
    name: str


class Result(_Strict):
    task: TaskOf
    dataset: DatasetOf
    metrics: list[MetricResult] = Field(min_length=1)


class Indexed(_Strict):
    name: str
    results: list[Result] = Field(min_length=1)


class CardMetadata(_Strict):
    """The front matter of a card; a hub refuses what is not so."""

    license: str = Field(pattern=r"^[a-z0-9.-]+$")
    library_name: Literal["mlteam"] = "mlteam"
    pipeline_tag: PipelineTag | None = None
    tags: list[str] = Field(min_length=1)
    index: list[Indexed] = Field(default=[], alias="model-index")


class BadCard(MlteamError):
    """A model card that does not follow the template, or whose metadata a hub would refuse."""


def write_card(run: Path) -> Path:
    """Write `reports/model_card.md` of the run directory `run`.

    Raises:
        MlteamError: when the event log is damaged, naming the line; when a figure is not on record (`UnbackedFigure`).
    """
    place = RunDir(run)
    path = place.reports / "model_card.md"
    place.reports.mkdir(exist_ok=True)
    facts = read_facts(place.path)
    write_atomic(path, render(facts, read_ledger(place.path, facts.events)))
    return path


def render(facts: RunFacts, ledger: Ledger) -> str:
    """The card as text, held against the ledger and its own schema."""
    page = MarkdownPage(f"Model card: {title(facts)}")
    for heading in SECTIONS:
        page.heading(heading)
        _PARTS[heading](page, facts)
    check(ledger, "the model card", page.said)
    metadata = yaml.safe_dump(
        metadata_of(facts).model_dump(by_alias=True, exclude_defaults=False, exclude_none=True), sort_keys=False, allow_unicode=True
    )
    card = f"---\n{metadata}---\n\n{page.text()}"
    validate(card)
    return card


def metadata_of(facts: RunFacts) -> CardMetadata:
    licence = (facts.manifest.licence or "").lower() if facts.manifest else ""
    contract, holdout = facts.contract, facts.holdout
    tag: PipelineTag | None = None
    if contract is not None:
        shapes: dict[str, PipelineTag] = {
            "classes": "tabular-classification",
            "values": "tabular-regression",
            "quantiles": "tabular-regression",
        }
        tag = "time-series-forecasting" if contract.forecast else shapes.get(contract.predicts)
    index = []
    if holdout and contract:
        scores = {holdout.metric: holdout.score, **holdout.others}
        metrics = [MetricResult(type=name, name=metric_title(name), value=value) for name, value in scores.items()]
        source = facts.manifest.source if facts.manifest else facts.name
        task = TaskOf(type=tag or "other", name=task_title(contract))
        index = [Indexed(name=facts.name, results=[Result(task=task, dataset=DatasetOf(type="tabular", name=source), metrics=metrics)])]
    known = next((code for word, code in _LICENCES.items() if word in licence), "unknown" if not licence else "other")
    return CardMetadata(license=known, pipeline_tag=tag, tags=["mlteam", "tabular", *([contract.task] if contract else [])], index=index)


def validate(card: str) -> CardMetadata:
    """Check a card: front matter by its schema, all sections in the template's order.

    Raises:
        BadCard: naming what is missing or wrong.
    """
    found = re.match(r"---\n(.*?\n)---\n", card, re.DOTALL)
    if found is None:
        raise BadCard("the card begins with no front matter between two lines of ---.")
    try:
        metadata = CardMetadata.model_validate(yaml.safe_load(found[1]))
    except (ValidationError, yaml.YAMLError) as error:
        raise BadCard(f"the card's metadata is wrong: {error}") from None
    headings = re.findall(r"^## (.+)$", card, re.MULTILINE)
    if headings != list(SECTIONS):
        missing = [name for name in SECTIONS if name not in headings]
        raise BadCard(f"the card's sections are {headings}, expected {list(SECTIONS)}; missing: {missing}.")
    return metadata


def _details(page: MarkdownPage, facts: RunFacts) -> None:
    chosen, ended = facts.selected, facts.status.replace("_", " ")
    if chosen is None:
        page.say(f"No model was scored; the run {facts.name} is {ended}.")
    else:
        page.say(f"{chosen.name}, of the family {chosen.family}, made by the run {facts.name}, which is {ended}.")
    if facts.evaluation and len(facts.evaluation.members) > 1:
        page.items([f"{one.name} with weight {one.weight:.2f}" for one in facts.evaluation.members])
    if facts.package:
        rows = f" {facts.package.rows:,}" if facts.package.rows else ""
        grown, beyond = facts.grown, ""
        if grown:
            beyond = f" of the sample, {', '.join(grown.members) or 'none of its members'} on all {grown.rows:,} of the table,"
        page.say(
            f"The packaged model was fitted again on all{rows} rows{beyond} after the score was taken, so its own score was never measured."
            if facts.package.refitted
            else f"The packaged model is the one that was scored, fitted on the{rows} training rows."
        )
    page.table(["Made with", "Version"], [(name, version) for name, version in facts.versions.items()])


def _use(page: MarkdownPage, facts: RunFacts) -> None:
    if text := facts.sections.get("summary"):
        page.say(text)
    elif facts.contract:
        page.say(f"{task_title(facts.contract)}, judged by {metric_title(facts.contract.metric)}.")
    if facts.package:
        page.command(predict_command(facts))


def _out_of_scope(page: MarkdownPage, facts: RunFacts) -> None:
    c = facts.contract
    page.say(
        "Rows that come from elsewhere than the ones it learned from, tables without its columns, and decisions about people that nobody"
        " checks." + (f" {len(c.features)} columns are expected, of the kinds that the data section tells." if c else "")
    )


def _factors(page: MarkdownPage, facts: RunFacts) -> None:
    sensitive = facts.contract.constraints.sensitive if facts.contract else None
    chosen = facts.selected
    if sensitive and chosen and chosen.disparity:
        page.items(
            [
                f"Between the groups of {sensitive}, {name.replace('_', ' ')} differs by {value:.3f}"
                for name, value in chosen.disparity.items()
            ]
        )
    elif not sensitive:
        page.say("No sensitive column was named, so groups of people were not compared.")
    if (found := facts.slices) and found.slices:
        page.say(f"It errs more than elsewhere in these parts of the table, by mean {found.loss}:")
        page.items(
            [
                f"{' and '.join(s.conditions)}: {compact(s.loss)} in {s.rows:,} rows, {compact(s.loss_elsewhere)} elsewhere"
                for s in found.slices
            ]
        )
    elif facts.slices:
        page.say("No part of the table was found in which it errs more than elsewhere beyond chance.")


def _metrics(page: MarkdownPage, facts: RunFacts) -> None:
    rows = []
    if h := facts.holdout:
        rows.append((f"{metric_title(h.metric)}, sealed rows", compact(h.score), f"{compact(h.low)} to {compact(h.high)}"))
        rows += [(f"{metric_title(name)}, sealed rows", compact(value), "") for name, value in h.others.items() if name != h.metric]
    if e := facts.evaluation:
        rows += [(f"{metric_title(m.metric)}, out of fold", compact(m.score), f"{compact(m.low)} to {compact(m.high)}") for m in e.metrics]
    if not rows:
        page.say("Nothing was measured on sealed rows.")
    page.table(["Metric", "Score", "Interval"], rows)


def _training(page: MarkdownPage, facts: RunFacts) -> None:
    if m := facts.manifest:
        licence = m.licence or "not stated by the source"
        page.say(f"{m.source}: {m.rows:,} rows, {m.columns} columns, {m.bytes:,} bytes. Licence: {licence}.")
        page.command(f"# SHA-256 of the data\n{m.sha256}")
    if text := facts.sections.get("data"):
        page.say(text)
    if facts.profile:
        page.items([one.message for one in facts.profile.warnings[:8]])


def _evaluation(page: MarkdownPage, facts: RunFacts) -> None:
    if (c := facts.contract) is None:
        page.say("No rows were sealed.")
        return
    by = f" by {c.split.column}" if c.split.column else ""
    looks = f" They were looked at {'once' if facts.holdout.looks == 1 else f'{facts.holdout.looks} times'}." if facts.holdout else ""
    page.say(f"{c.rows_holdout:,} rows, sealed by a {c.split.kind} split{by} before anybody saw a row.{looks}")


def _ethics(page: MarkdownPage, facts: RunFacts) -> None:
    page.say(
        "The run measured errors and, where a sensitive column was named, differences between groups. It did not ask whether predictions"
        " of this kind should be made, who bears their errors, or how the data came to be; whoever uses the model has to."
    )


def _caveats(page: MarkdownPage, facts: RunFacts) -> None:
    if text := facts.sections.get("limitations"):
        page.say(text)
    if facts.status != "done":
        page.say(f"The run did not end as it should: {facts.status.replace('_', ' ')}{f', {facts.reason}' if facts.reason else ''}.")
    page.items([f"{one.what}: {one.reason}" for one in facts.degradations[:12]])
    page.say("Watch its scores on new rows with known outcomes, and fit it anew when they leave the interval above.")


_PARTS: dict[str, Any] = dict(
    zip(SECTIONS, (_details, _use, _out_of_scope, _factors, _metrics, _training, _evaluation, _ethics, _caveats), strict=True)
)
