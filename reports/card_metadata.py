"""The front matter of a model card, as hubs read it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from reports.facts import RunFacts
from reports.figures import source_name, task_title, title_in

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


def metadata_of(facts: RunFacts) -> CardMetadata:
    """What a run says of its model there."""
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
        metrics = [MetricResult(type=name, name=title_in(name, contract), value=value) for name, value in scores.items()]
        source = source_name(facts.manifest.source) if facts.manifest else facts.name
        task = TaskOf(type=tag or "other", name=task_title(contract))
        index = [Indexed(name=facts.name, results=[Result(task=task, dataset=DatasetOf(type="tabular", name=source), metrics=metrics)])]
    known = next((code for word, code in _LICENCES.items() if word in licence), "unknown" if not licence else "other")
    return CardMetadata(license=known, pipeline_tag=tag, tags=["mlteam", "tabular", *([contract.task] if contract else [])], index=index)
