"""The model card: Markdown after the template of Mitchell et al. 2019, "Model Cards for Model Reporting", with metadata that hubs read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from reports.card_metadata import CardMetadata, metadata_of
from reports.commands import predict_command
from reports.facts import RunFacts, read_facts
from reports.figures import compact, metric_said, source_name, task_title, title_in
from reports.ledger import Ledger, check, read_ledger
from reports.markdown_page import MarkdownPage
from reports.paper_sections import title
from reports.winner import settings_of
from team.errors import MlteamError
from team.rundir import RunDir, write_atomic
from tools.candidates import ENSEMBLE
from tools.contract import Contract

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
MOST_NAMED, MOST_RANGES = 12, 5
_PROTECTED = re.compile(
    r"(^|[\W_])(sex|gender|race|ethnic(ity)?|religion|nationality|age|disab(led|ility)|pregnan(t|cy)|marital|caste)([\W_]|$)", re.I
)
"""Columns that are called after attributes which laws against discrimination know."""


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
    if facts.winner is not None:
        ledger = ledger.with_file(f"what the kernel wrote of {facts.winner.name}", facts.winner.flat)
    check(ledger, "the model card", page.said)
    metadata = yaml.safe_dump(
        metadata_of(facts).model_dump(by_alias=True, exclude_defaults=False, exclude_none=True), sort_keys=False, allow_unicode=True
    )
    card = f"---\n{metadata}---\n\n{page.text()}"
    validate(card)
    return card


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
    moment = datetime.fromtimestamp(facts.started_at or 0, UTC)
    version = f" {facts.versions['mlteam']}" if "mlteam" in facts.versions else ""
    made = f"on {moment.day} {moment:%B %Y} by mlteam{version}, in the run {facts.name} ({ended})"
    if chosen is None:
        page.say(f"No model was scored {made}.")
    else:
        what = "A weighted average of candidates" if chosen.family == ENSEMBLE else f"{chosen.name}, of the family {chosen.family}"
        page.say(f"{what}, made {made}.")
    if facts.evaluation and len(facts.evaluation.members) > 1:
        page.items([f"{one.name} with weight {one.weight:.2f}" for one in facts.evaluation.members])
    if (w := facts.winner) and w.params is not None:
        fitted = {w.name: settings_of(w.params)} if w.params else {one.name: settings_of(one.params) for one in w.members}
        if any(fitted.values()):
            page.say("Settings, as the kernel wrote them:")
        page.items([f"{name}: {', '.join(map(_setting, params.items()))}" for name, params in fitted.items() if params])
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


def _setting(setting: tuple[str, Any]) -> str:
    name, value = setting
    return f"{name} {compact(value) if isinstance(value, float) else value}"


def _gives(contract: Contract) -> str:
    """What a prediction is."""
    if contract.predicts == "labels":
        return f"the chance of each of {_named(contract.classes)}"
    if contract.classes:
        return f"one of the classes {_named(contract.classes)}, with the probability of each"
    told = {
        "risk": f"how soon {contract.event!r} is to be expected, as a risk",
        "groups": "the group that a row belongs to",
        "scores": "how much a row stands out",
        "quantiles": f"quantiles of {contract.target!r}",
    }
    horizon = contract.forecast.horizon if contract.forecast else 0
    steps = f", up to {horizon} steps ahead" if horizon > 1 else ", one step ahead" if horizon else ""
    return told.get(contract.predicts, f"a value of {contract.target!r}{steps}")


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:MOST_NAMED])
    return f"{shown} and others" if len(names) > MOST_NAMED else shown


def _use(page: MarkdownPage, facts: RunFacts) -> None:
    if c := facts.contract:
        page.say(f"From the column{'' if len(c.features) == 1 else 's'} {_named(c.features)} of a row it gives {_gives(c)}.")
    if goal := facts.settings.get("goal"):
        page.say(f"It was made for this wish: {goal}")
    if text := facts.sections.get("summary"):
        page.say(text)
    elif facts.contract:
        page.say(f"{task_title(facts.contract)}, judged by {metric_said(facts.contract.metric)}.")
    if facts.package:
        page.command(predict_command(facts))


def _out_of_scope(page: MarkdownPage, facts: RunFacts) -> None:
    c = facts.contract
    if c is None:
        page.say("Nothing is known of what it may be used for.")
        return
    source = source_name(facts.manifest.source) if facts.manifest else "the source"
    page.say(f"Rows of another origin than those of {source}, and tables without its columns.")
    profiles = facts.profile.profiles if facts.profile else ()
    ranges = [f"{one.column!r} from {one.low} to {one.high}" for one in profiles if one.kind == "numeric" and one.low and one.high]
    if ranges:
        page.say("Values beyond those that it learned from, where it only guesses:")
        page.items(ranges[:MOST_RANGES])
    if c.classes and c.predicts == "classes":
        page.say(f"Rows of any other class of {c.target!r}: each gets one of those that it knows.")
    later = {
        "time": f"Times long after the sealed rows, which are the latest by {c.split.column!r}.",
        "group": f"Later times: rows were parted by {c.split.column!r}, not in their order in time.",
    }
    page.say(later.get(c.split.kind, "Later times, or persons and places that it has not met: the rows were not parted by any of them."))


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
    rows, c = [], facts.contract
    if h := facts.holdout:
        rows.append((f"{title_in(h.metric, c)}, sealed rows", compact(h.score), f"{compact(h.low)} to {compact(h.high)}"))
        for name, value in h.others.items():
            if name != h.metric:
                ends = " to ".join(map(compact, h.other_ends.get(name, ())))
                rows.append((f"{title_in(name, c)}, sealed rows", compact(value), ends))
    if e := facts.evaluation:
        rows += [(f"{title_in(m.metric, c)}, out of fold", compact(m.score), f"{compact(m.low)} to {compact(m.high)}") for m in e.metrics]
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
    c, profile = facts.contract, facts.profile
    if c and (about := [name for name in dict.fromkeys([*c.features, c.target]) if name and _PROTECTED.search(name)]):
        compared = f"Groups of {c.constraints.sensitive!r} were compared" if c.constraints.sensitive else "Groups were not compared"
        page.say(f"By their names these columns tell of persons what laws protect in many places: {_named(about)}. {compared}.")
    if profile and (people := profile.understanding.personal):
        masked = " They were masked before a sandbox saw them." if facts.settings.get("mask_pii") else ""
        page.say(f"These columns hold personal data: {', '.join(f'{one.column!r} ({one.kind})' for one in people[:MOST_NAMED])}.{masked}")
    elif profile:
        page.say("No column was found to hold personal data. The scan goes by patterns and names of columns, and may miss some.")
    page.say(f"The run did not ask whether {_asked(c)}, who bears the errors, or how the data came to be: whoever uses it has to.")


def _asked(contract: Contract | None) -> str:
    """What a model is made for that perhaps should not be."""
    if contract is None or not contract.target:
        told = {"groups": "rows should be put into groups", "scores": "rows should be singled out"}
        return told.get(contract.predicts if contract else "", "this should be predicted")
    return f"{_named(contract.classes) if contract.predicts == 'labels' else repr(contract.target)} should be predicted"


def _caveats(page: MarkdownPage, facts: RunFacts) -> None:
    if text := facts.sections.get("limitations"):
        page.say(text)
    if facts.status != "done":
        why = f", {facts.reason.rstrip('.')}" if facts.reason else ""
        page.say(f"The run did not end as it should: {facts.status.replace('_', ' ')}{why}.")
    page.items([one.reason if one.reason.startswith(one.what) else f"{one.what}: {one.reason}" for one in facts.degradations[:12]])
    if (h := facts.holdout) and facts.contract:
        worse = f"falls below {compact(h.low)}" if facts.contract.direction == "maximize" else f"rises above {compact(h.high)}"
        known = (
            "Score new rows now and then"
            if facts.contract.predicts in ("groups", "scores")
            else "Score new rows once their outcomes are known"
        )
        page.say(f"{known}; when {metric_said(h.metric)} {worse}, it is time to fit anew.")


_PARTS: dict[str, Any] = dict(
    zip(SECTIONS, (_details, _use, _out_of_scope, _factors, _metrics, _training, _evaluation, _ethics, _caveats), strict=True)
)
