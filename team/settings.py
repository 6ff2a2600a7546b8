"""Settings of a run, from the command line, MLTEAM_* environment variables and a YAML file, in this order.

Unknown keys are refused with the nearest known one. The settled values are written to `settings.yaml`.
"""

from __future__ import annotations

import difflib
import os
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from team.approval import Approval
from team.casting import PLAYBOOK, Models, Price, RoleModels, provider_of
from team.constraint import Constraint, Device, Memory, bound, cpu_only, distinct, listed, memory_mb
from team.errors import UsageError
from team.sandbox_settings import AutoSandbox, DockerSandbox, Sandbox
from team.setting_problems import told
from team.setting_values import (
    Duration,
    Names,
    Objectives,
    Preparers,
    read_approval,
    read_constraint,
    read_families,
    read_folds,
    read_gap,
    read_joined,
    read_listed,
    read_metric,
    read_monotone,
    read_omissions,
    read_quantiles,
    read_size,
    read_tracker,
)
from tools.constraints import Constraints, names_of, signs_of
from tools.contract import Task
from tools.device import Asked
from tools.forecast import Window
from tools.release_wish import Release
from tools.samplers import Pruner, Sampler
from tools.schemes import SchemeName

KERNEL_VARIABLES = ("MLTEAM_DATA", "MLTEAM_WORK", "MLTEAM_MEMORY_MB", "MLTEAM_STDERR")
"""What kernel tools are told of their folders and their sandbox; no settings."""
OTHER_VARIABLES = ("MLTEAM_CACHE", "MLTEAM_LOG_FORMAT", "MLTEAM_SECRETS", "MLTEAM_SERVE_KEY", "MLTEAM_SERVE_RATE", "MLTEAM_SERVE_ROWS")
"""Where downloads and secrets are kept, how logs are written: of the machine rather than of a run."""


def _trackers_own() -> str | None:
    """The server that MLflow's own variable names; what else it can name (a file, a database, a service) is no server by URI."""
    address = os.environ.get("MLFLOW_TRACKING_URI", "")
    return address if address.startswith(("http://", "https://")) else None


def _convention_captures() -> bool:
    """Whether OpenTelemetry's own variable wants the content of messages in spans."""
    said = os.environ.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "").strip().lower()
    return said in ("", "true", "span_only", "span_and_event")


class Settings(BaseSettings):
    """What one run was asked to do."""

    model_config = SettingsConfigDict(env_prefix="MLTEAM_", env_nested_delimiter="__", extra="forbid", env_ignore_empty=True)

    source: str
    """Where the data is: a path or an address, as `tools.sources` takes it apart."""
    max_download: Annotated[int, BeforeValidator(read_size)] = Field(20 * 10**9, gt=0)
    """Bytes that are downloaded at most, and that archives may unpack to; `5GB` is read."""
    target: str | None = Field(None, min_length=1)
    """Column to predict; None lets the team choose."""
    classes: Annotated[list[str] | None, NoDecode, BeforeValidator(read_listed)] = None
    """Classes of an ordinal target from the lowest to the highest, which make the task `ordinal`; None takes the order of numbers."""
    quantiles: Annotated[list[float] | None, NoDecode, BeforeValidator(read_quantiles)] = None
    """Levels of the quantiles that are predicted, `0.1,0.5,0.9`, the median always among them; makes the task `quantile`."""
    goal: str | None = None
    """The wish in the user's own words."""
    event: str | None = None
    """Of survival: the column that is 1 where the event happened and 0 where the time in `target` is censored."""
    metric: Annotated[str | None, BeforeValidator(read_metric)] = None
    """Metric that decides, also by another usual name of it, such as `pr_auc`; None lets the team choose by problem type."""
    task: Task | None = None
    """Problem type; None infers it from the values of the target, where counts are never inferred, or from settings that only a
    forecast has."""
    time: Duration = Field(600.0, ge=1, le=86_400, allow_inf_nan=False)
    """Seconds of search (train, tune, ensemble), at most a day."""
    trials: int | None = Field(None, ge=0)
    """Tuning trials in all; None means the clock alone decides. With trials, set a time that is ample."""
    model: str = PLAYBOOK
    """Model of all roles: playbook, openai:MODEL[@URL], anthropic:MODEL[@URL] or replay:RUN; with commas, the next one stands in."""
    models: Models = Models()
    """Models of single roles, spelt in the same way, `models.engineer`, and how they are asked: `models.request_s`."""
    max_cost: Decimal | None = Field(None, gt=0)
    """Dollars that models may cost in all; the playbook finishes the run when they are spent. None means no limit."""
    max_tokens: int | None = Field(None, ge=1)
    """Tokens that models may take in all, input and output; None means no limit."""
    warn_cost: Decimal | None = Field(None, gt=0)
    """Dollars of which the user wants to be told when models near them; nothing is stopped. None tells of `max_cost` alone."""
    warn_tokens: int | None = Field(None, ge=1)
    """The same for tokens, input and output."""
    probe: bool = True
    """Whether every language model is asked one small question before a run, so that its forecast rests on what was measured."""
    expected_cost: Decimal | None = Field(None, gt=0)
    """Dollars that models are foreseen to cost; before they cost more a person is asked (`spend` in `approval.tools`). None foresees
    nothing."""
    prices: dict[str, Price] = {}
    """Dollars per million tokens by model, such as `{"openai:MODEL": {input: 1.25, output: 10}}`; without one the list of `team.pricing`
    is asked, and what it says is added when the run begins. Where neither has one, the cost is not known."""
    sandbox: Sandbox = AutoSandbox()
    """Where code runs."""
    device: Asked = "auto"
    """What models are fitted on: cuda for a graphics processor, cpu, or auto for cuda where one is visible and pays."""
    weights: Path | None = None
    """Folder of checkpoint files for tabicl and tabpfn, which are never downloaded; shown to the kernel read-only."""
    out: Path = Path("runs")
    """Folder that gets the run directory."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of the split, the folds and every estimator."""
    holdout: float = Field(0.2, gt=0, lt=1)
    """Share of the rows that is sealed as holdout; of a forecast it is the last horizon of every series."""
    folds: Annotated[int | Literal["loo"] | None, BeforeValidator(read_folds)] = None
    """Cross-validation folds, or loo: each row, or each group, is left out alone. None takes as many as suit the number of rows."""
    validation: SchemeName | None = None
    """Validation scheme; None takes the one that fits the split. repeated deals the rows to folds five times; nested makes the search
    again inside outer folds."""
    repeats: int | None = Field(None, ge=1, le=20)
    """How often the rows are dealt to folds anew; None means once, and five times for repeated."""
    window: Window | None = None
    """Of folds in order of time: expanding learns from all earlier rows, sliding from as many of the latest as the first fold has."""
    gap: Annotated[str | None, BeforeValidator(read_gap)] = None
    """Time between what is learned from and what is predicted: 7d or 12h for dates, a plain number for numbers."""
    own_split: bool = False
    """Take the holdout, and the folds, that the source itself brings."""
    group: str | None = None
    """Column whose values must not be on both sides of a split."""
    time_column: str | None = None
    """Column that orders the rows in time; the holdout is then the latest part."""
    max_latency_ms: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Most milliseconds that the model may take for a single row; None for no bound."""
    max_size_mb: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Most MB that the saved model may take; None for no bound."""
    interpretable: bool = False
    """Only linear models and single trees, and no blend."""
    monotone: Annotated[str | None, BeforeValidator(read_monotone)] = None
    """Columns with which the prediction may only rise or fall: `age:+,price:-`."""
    families: Annotated[str | None, BeforeValidator(read_families)] = None
    """The only families that may be fitted: `linear,lightgbm`."""
    forbid: Annotated[str | None, BeforeValidator(read_joined)] = None
    """Columns that no model may see: `name,postcode`."""
    mask_pii: bool = False
    """Whether personal data (mail addresses, numbers of cards and telephones, names) is masked before a sandbox sees a row."""
    constraint: Annotated[list[Constraint], NoDecode, BeforeValidator(read_constraint)] = []
    """What must be kept, in sentences such as `never use column name` (`team.sentences` says which are understood) or by kind; on top of
    the options above, which are the same in other words."""
    sensitive: str | None = None
    """Column whose groups every candidate is compared over; with `forbid` it is no feature."""
    without: Annotated[str | None, BeforeValidator(read_omissions)] = None
    """Parts of the engine and families to do without, to measure what they are worth: `ensemble,mlp`."""
    series: Names = []
    """Forecasts: columns whose values together name a series."""
    horizon: int | None = Field(None, ge=1, le=10_000)
    """Forecasts: steps ahead; None takes what is usual for the frequency."""
    known: Names = []
    """Forecasts: columns that are known ahead."""
    sampler: Sampler | None = None
    """What chooses configurations in tuning: tpe, random, grid or nsga2; None lets the roles choose, whose default is tpe."""
    pruner: Pruner | None = None
    """What ends trials after some folds: median, hyperband, successive_halving or none; None lets the roles choose: median."""
    objectives: Objectives = ["score"]
    """What tuning weighs: score, then latency, size or fairness. With more than the score, it leaves the candidates of its Pareto front."""
    preparers: Preparers = []
    """Transformers that installed packages bring (entry points of `mlteam.preparers`) in their order, and then steps such as
    `impute=knn` (`tools.steps`), fitted inside each fold."""
    tracker: Annotated[str | None, BeforeValidator(read_tracker)] = Field(default_factory=_trackers_own, validate_default=True)
    """What gets the run beside its own MLflow store: addresses of MLflow servers, `wandb`, `tensorboard` and trackers that installed
    packages bring, with commas between them; left out, what MLFLOW_TRACKING_URI names; `none` for none."""

    metrics_port: int | None = Field(None, ge=1, le=65_535)
    """Port of 127.0.0.1 at which Prometheus may ask for metrics (`/metrics`) while the run goes on; None for none."""
    capture_content: bool = Field(default_factory=_convention_captures)
    """Whether prompts, messages, arguments and results stand in the run's traces; left out, what
    OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says, and yes where that says nothing."""

    release: Release = Release()
    """Where the run is released to at its end, beside its directory: `{repo: DIR, tag: next, push: origin, registry: local}`."""
    approval: Annotated[Approval, NoDecode, BeforeValidator(read_approval)] = Approval()
    """Which calls of tools wait for a person's word: `never`, `always` or `outside-only`, and other policies for single tools, as in
    `{default: outside-only, tools: {track_run: always}}`."""

    @model_validator(mode="after")
    def _keepable(self) -> Settings:
        """Refuse constraints that cannot all be kept, and what cannot be done while they are."""
        _ = self.constraints
        if self.device == "cuda" and cpu_only(self.constraint):
            raise ValueError("device='cuda', and a constraint says CPU only: not both")
        if len(self.objectives) > 1 and self.pruner not in (None, "none"):
            raise ValueError(f"pruner={self.pruner!r} ends trials by the score alone, and objectives weigh more: leave --pruner out")
        if "fairness" in self.objectives and self.sensitive is None:
            raise ValueError("objectives: fairness needs a sensitive column; name one with --sensitive COLUMN")
        if self.preparers and (monotone := self.constraints.monotone):
            column = next(iter(monotone))
            raise ValueError(f"--preparers would hide how the prediction follows {column!r}, which is bound: leave it or --monotone out")
        return self

    def model_of(self, role: str) -> str:
        """The model of a role, or a list with commas."""
        return getattr(self.models, role) or self.model

    @property
    def all_models(self) -> list[str]:
        """The models of all roles, each once."""
        return list(dict.fromkeys(self.model_of(role) for role in RoleModels.model_fields))

    @property
    def playbook_alone(self) -> bool:
        """Whether no language model has a say."""
        return self.all_models == [PLAYBOOK]

    @property
    def trackers(self) -> tuple[str, ...]:
        """The trackers, each by its name or address."""
        return tuple(self.tracker.split(",")) if self.tracker else ()

    @property
    def mlflow_server(self) -> str | None:
        """Address of the first MLflow server among them."""
        return next((name for name in self.trackers if "://" in name), None)

    def price_of(self, spec: str) -> Price | None:
        """What a single model costs; None where nobody said."""
        return self.prices.get(spec) or self.prices.get(":".join(provider_of(spec)))

    @property
    def gpus(self) -> int:
        """Graphics processors that the sandbox's settings give it: 0 for none, -1 for all."""
        return self.sandbox.gpus if isinstance(self.sandbox, DockerSandbox) else 0

    @property
    def limits(self) -> list[Constraint]:
        """Everything that must be kept, from options and sentences alike, each once."""
        options = Constraints(
            max_latency_ms=self.max_latency_ms,
            max_size_mb=self.max_size_mb,
            interpretable=self.interpretable,
            monotone=signs_of(self.monotone),
            families=names_of(self.families),
            forbid=names_of(self.forbid),
        )
        hardware: list[Constraint] = [Device()] if self.device == "cpu" else []
        if "memory_mb" in self.sandbox.model_fields_set and self.sandbox.memory_mb != type(self.sandbox).model_fields["memory_mb"].default:
            hardware.append(Memory(mb=self.sandbox.memory_mb))
        return distinct([*listed(options), *hardware, *self.constraint])

    @property
    def constraints(self) -> Constraints:
        """What the contract binds every model to."""
        return bound(Constraints(sensitive=self.sensitive, without=names_of(self.without)), self.limits)

    @property
    def fitted_on(self) -> Asked:
        """What models may be fitted on, constraints included."""
        return "cpu" if cpu_only(self.constraint) else self.device

    @property
    def memory_mb(self) -> int:
        """Memory of every sandbox of the run in MiB, constraints included."""
        return memory_mb(self.constraint, self.sandbox.memory_mb)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings

    def to_yaml(self) -> str:
        """The settled values as a document that `load_settings` reads back."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_settings(overrides: dict[str, Any], config: Path | None = None) -> Settings:
    """Merge `overrides` (values that are None are left out), MLTEAM_* variables and the YAML file `config`.

    Raises:
        UsageError: naming every setting that is wrong, its value and what was expected.
    """
    from pydantic_settings import InitSettingsSource

    file = _read_yaml(config) if config else {}
    _refuse_unknown_variables()
    given = {key: value for key, value in overrides.items() if value is not None}
    if isinstance(given.get("sandbox"), str):
        given["sandbox"] = {"kind": given["sandbox"]}  # so that limits from other layers stay

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(cls, settings_cls, init_settings, env_settings, **_: Any):  # type: ignore[no-untyped-def,override]  # the base's sources, fewer of them
            return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=file)

    try:
        layered = Layered(**given)
    except ValidationError as error:
        raise UsageError("\n".join(told(detail, Settings.model_fields) for detail in error.errors())) from None
    return Settings.model_construct(**dict(layered))


def settled(document: dict[str, Any]) -> Settings:
    """Settings from a document that `to_yaml` or an event holds; the environment has no say.

    Raises:
        ValidationError: where it is of another version.
    """

    class Exact(Settings):
        @classmethod
        def settings_customise_sources(cls, settings_cls, init_settings, **_: Any):  # type: ignore[no-untyped-def,override]  # the base's sources, fewer of them
            return (init_settings,)

    return Settings.model_construct(**dict(Exact(**document)))


def read_settings(path: Path, changes: dict[str, Any] | None = None) -> Settings:
    """The settled settings of a run, as `to_yaml` wrote them; the environment has no say.

    Args:
        changes: settings that are to differ; values that are None are left out.

    Raises:
        UsageError: naming every setting that is wrong.
    """
    given = {**_read_yaml(path), **{key: value for key, value in (changes or {}).items() if value is not None}}
    try:
        return settled(given)
    except ValidationError as error:
        raise UsageError("\n".join(told(detail, Settings.model_fields) for detail in error.errors())) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read settings file {str(path)!r}: {error.strerror}. Give an existing YAML file to --config.") from None
    except UnicodeDecodeError:
        raise UsageError(f"settings file {str(path)!r} is not UTF-8 text. Write one 'key: value' a line.") from None
    except yaml.YAMLError as error:
        raise UsageError(f"settings file {str(path)!r} is not YAML: {str(error).splitlines()[0]}. Write one 'key: value' a line.") from None
    if not isinstance(document, dict):
        raise UsageError(f"settings file {str(path)!r} holds {type(document).__name__}, expected 'key: value' lines.")
    return {str(key): value for key, value in document.items()}


def _refuse_unknown_variables() -> None:
    """A misspelt MLTEAM_ variable would otherwise be passed over in silence."""
    for name in os.environ:
        setting = name.removeprefix("MLTEAM_").lower()
        if (
            name.startswith("MLTEAM_")
            and name not in (*KERNEL_VARIABLES, *OTHER_VARIABLES)
            and setting.partition("__")[0] not in Settings.model_fields
        ):
            near = difflib.get_close_matches(setting, Settings.model_fields, n=1)
            hint = f" Did you mean MLTEAM_{near[0].upper()}?" if near else ""
            raise UsageError(f"unknown environment variable {name}.{hint}")
