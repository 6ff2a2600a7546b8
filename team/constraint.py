"""What a person wants kept, whatever it costs in score: one typed list a run.

An option such as `--forbid`, a sentence such as "never use column X" and a word in the middle of a run all become members of this list.
What each means is said once: `bound` writes those that bind models into the `Constraints` of the sealed contract, and `told` and
`enforced_by` are what report and terminal show.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from tools.constraints import INTERPRETABLE, MONOTONE, Constraints, Sign


class Conflict(ValueError):
    """Constraints that nothing can keep at once."""


class _Constraint(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    said: str = ""
    """The words that asked for it; empty where an option did."""

    def same_as(self, other: Any) -> bool:
        """Whether it asks for the same, in whatever words."""
        return type(self) is type(other) and self.model_copy(update={"said": ""}) == other.model_copy(update={"said": ""})


class ForbidColumn(_Constraint):
    """A column that nothing may be learnt from."""

    kind: Literal["forbid_column"] = "forbid_column"
    column: str = Field(min_length=1)

    @property
    def told(self) -> str:
        return f"column {self.column!r} is never used"

    @property
    def enforced_by(self) -> str:
        return "taken out of the table before any sandbox is shown it"


class NoText(_Constraint):
    """No column of free text is learnt from."""

    kind: Literal["no_text"] = "no_text"

    @property
    def told(self) -> str:
        return "no text columns"

    @property
    def enforced_by(self) -> str:
        return "columns of text are taken out of the table before any sandbox is shown it"


class _OfFamilies(_Constraint):
    names: tuple[str, ...] = Field(min_length=1)

    @field_validator("names")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        from tools.families import all_names

        if strange := [name for name in names if name not in all_names()]:
            raise ValueError(f"no family {strange[0]!r}; families: {', '.join(all_names())}")
        return tuple(dict.fromkeys(names))

    @property
    def enforced_by(self) -> str:
        return (
            "calls that name other families are refused; candidates of other families, and models written as code, do not count; "
            "the final model is fitted by a fresh kernel that no code of a role has touched"
        )


class Families(_OfFamilies):
    """The only families that may be fitted."""

    kind: Literal["families"] = "families"

    @property
    def told(self) -> str:
        return f"only models of {_joined(self.names)}"


class NoFamilies(_OfFamilies):
    """Families that may not be fitted."""

    kind: Literal["no_families"] = "no_families"

    @property
    def told(self) -> str:
        return f"no models of {_joined(self.names)}"


class Interpretable(_Constraint):
    """One model that a person can read."""

    kind: Literal["interpretable"] = "interpretable"

    @property
    def told(self) -> str:
        return f"only a model that a person can read: one of {_joined(INTERPRETABLE)}, and no blend"

    @property
    def enforced_by(self) -> str:
        return Families(names=("linear",)).enforced_by


class Monotone(_Constraint):
    """The prediction may only rise, or only fall, with a column."""

    kind: Literal["monotone"] = "monotone"
    column: str = Field(min_length=1)
    sign: Sign

    @property
    def told(self) -> str:
        return f"the prediction only {'rises' if self.sign == 1 else 'falls'} with {self.column!r}"

    @property
    def enforced_by(self) -> str:
        return f"only {_joined(MONOTONE)}, which keep to it while they fit; {Families(names=('linear',)).enforced_by}"


class Device(_Constraint):
    """Nothing is fitted on a graphics processor."""

    kind: Literal["device"] = "device"
    device: Literal["cpu"] = "cpu"

    @property
    def told(self) -> str:
        return "CPU only"

    @property
    def enforced_by(self) -> str:
        return "no sandbox is given a graphics processor, and CUDA is told of none"


class Memory(_Constraint):
    """Most memory that code may take."""

    kind: Literal["memory"] = "memory"
    mb: int = Field(gt=0)
    """MiB, of the kernel and its children together."""

    @property
    def told(self) -> str:
        return f"no more than {self.mb / 1024:g} GB of memory" if self.mb % 512 == 0 else f"no more than {self.mb} MB of memory"

    @property
    def enforced_by(self) -> str:
        return "the sandbox's own limit, which ends what takes more"


class MaxLatency(_Constraint):
    """Most time that a single row may take."""

    kind: Literal["max_latency"] = "max_latency"
    ms: float = Field(gt=0, allow_inf_nan=False)

    @property
    def told(self) -> str:
        return f"a row is predicted in at most {self.ms:g} ms"

    @property
    def enforced_by(self) -> str:
        return "the fitted model is timed by the host's clock in a sandbox of its own; one that takes longer is not scored and not packaged"


class MaxSize(_Constraint):
    """Most that the model may take on file."""

    kind: Literal["max_size"] = "max_size"
    mb: float = Field(gt=0, allow_inf_nan=False)
    """MB of a million bytes, before compression."""

    @property
    def told(self) -> str:
        return f"the model takes at most {self.mb:g} MB on file"

    @property
    def enforced_by(self) -> str:
        return "the file is measured by the host; a larger one is not scored and not packaged"


Constraint = Annotated[
    ForbidColumn | NoText | Families | NoFamilies | Interpretable | Monotone | Device | Memory | MaxLatency | MaxSize,
    Field(discriminator="kind"),
]
CONSTRAINT: TypeAdapter[Constraint] = TypeAdapter(Constraint)


def distinct(constraints: Iterable[Constraint]) -> list[Constraint]:
    """The list with every constraint once; of two that ask for the same, the one that keeps a person's words."""
    kept: list[Constraint] = []
    for one in constraints:
        same = next((i for i, other in enumerate(kept) if one.same_as(other)), None)
        if same is None:
            kept.append(one)
        elif not kept[same].said:
            kept[same] = one
    return kept


def bound(base: Constraints, constraints: Sequence[Constraint]) -> Constraints:
    """What a contract binds models to, with `constraints` on top of `base`: the stricter of two bounds holds.

    Raises:
        Conflict: when two of them cannot both be kept.
    """
    found = base.model_dump()
    for one in constraints:
        match one:
            case ForbidColumn():
                found["forbid"] = (*found["forbid"], *(() if one.column in found["forbid"] else (one.column,)))
            case NoText():
                found["no_text"] = True
            case Families():
                before = found["families"]
                found["families"] = tuple(name for name in before or one.names if name in one.names)
                if not found["families"]:
                    raise Conflict(f"{one.told}, and before that only models of {_joined(before)}: no family is left")
            case NoFamilies():
                found["without"] = tuple(dict.fromkeys((*found["without"], *one.names)))
            case Interpretable():
                found["interpretable"] = True
            case Monotone():
                if found["monotone"].get(one.column, one.sign) != one.sign:
                    raise Conflict(f"{one.told}, and before that it only {'falls' if one.sign == 1 else 'rises'} with it: not both")
                found["monotone"] = {**found["monotone"], one.column: one.sign}
            case MaxLatency():
                found["max_latency_ms"] = min(one.ms, found["max_latency_ms"] or one.ms)
            case MaxSize():
                found["max_size_mb"] = min(one.mb, found["max_size_mb"] or one.mb)
            case _:
                pass  # where code runs is no matter of the contract
    if both := set(found["forbid"]) & set(found["monotone"]):
        raise Conflict(f"column {min(both)!r} is never to be used, and the prediction is to rise or fall with it: not both")
    if found["families"] and not set(found["families"]) - set(found["without"]):
        raise Conflict(f"only models of {_joined(found['families'])}, and none of {_joined(found['without'])}: no family is left")
    return Constraints.model_validate(found)


def listed(constraints: Constraints) -> list[Constraint]:
    """The same as members of the list, in which `bound` finds them again."""
    found: list[Constraint] = [ForbidColumn(column=name) for name in constraints.forbid]
    found += [NoText()] if constraints.no_text else []
    found += [Families(names=constraints.families)] if constraints.families else []
    found += [Interpretable()] if constraints.interpretable else []
    found += [Monotone(column=column, sign=sign) for column, sign in constraints.monotone.items()]
    found += [MaxLatency(ms=constraints.max_latency_ms)] if constraints.max_latency_ms is not None else []
    found += [MaxSize(mb=constraints.max_size_mb)] if constraints.max_size_mb is not None else []
    return found


def memory_mb(constraints: Iterable[Constraint], given: int) -> int:
    """Memory of a sandbox in MiB, where settings give so much."""
    return min([given, *(one.mb for one in constraints if isinstance(one, Memory))])


def cpu_only(constraints: Iterable[Constraint]) -> bool:
    return any(isinstance(one, Device) for one in constraints)


def _joined(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" or {names[-1]}" if len(names) > 1 else "".join(names)
