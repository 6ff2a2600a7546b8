"""Which columns of a table the sandbox is shown: all, but those that constraints take away."""

from __future__ import annotations

from tools.contract import Contract, TableSchema
from tools.spec import InputRefused


def narrowed(contract: Contract, schema: TableSchema) -> tuple[Contract, TableSchema, list[str]]:
    """Contract and schema without the features that the contract's constraints take away, and the names of those.

    Raises:
        InputRefused: nothing is left, or what goes is what rows are split, ordered or told apart by.
    """
    constraints, forecast = contract.constraints, contract.forecast
    texts = schema.of_kind("text") if constraints.no_text else []
    gone = [name for name in contract.features if name in constraints.forbid or name in texts]
    series = (*forecast.series, forecast.time) if forecast else ()
    for name in gone:
        if name in (contract.split.column, *series):
            what = "which rows are split or told apart by"
            raise InputRefused(
                f"column {name!r} is to be kept from every model, {what}. Leave that constraint out, or split by another column."
            )
    features = [name for name in contract.features if name not in gone]
    if not features:
        raise InputRefused(f"constraints take every column away ({', '.join(gone)}); a model needs at least one. Leave one of them out.")
    kept = {each: [name for name in getattr(forecast, each) if name not in gone] for each in ("known", "past")} if forecast else {}
    left = forecast.model_copy(update=kept) if forecast else None
    return contract.model_copy(update={"features": features, "forecast": left}), schema.without(gone), gone
