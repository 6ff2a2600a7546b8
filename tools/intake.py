"""Host tool: fetch the user's source into the vault and say what columns it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel

from tools.degradation import Degradation
from tools.extras import Extras
from tools.host import HostContext, Wish
from tools.spec import ToolRefused, tool
from tools.understanding.findings import Ordering
from tools.understanding.targets import TargetGuess
from tools.workspace import write_json

if TYPE_CHECKING:
    from tools.conversion import Described
    from tools.sources.contract import Fetched

MOST_COLUMNS_TOLD = 200
MOST_FILES_LISTED = 1000


class FetchedColumn(BaseModel):
    name: str
    type: str
    unique: int
    missing: int


class DataFetched(BaseModel):
    """Facts of the source. No cell is shown: the holdout is not split off yet."""

    source: str
    rows: int
    columns: int
    bytes: int
    sha256: str
    licence: str | None
    named_target: str | None = None
    """The column that the source itself says is to be predicted."""
    format: str
    notes: list[str]
    """What was guessed, chosen or repaired when the source was read."""
    table: list[FetchedColumn]
    targets: list[TargetGuess] = []
    """Columns that may be the one to predict, the surest first; empty where the user named one."""
    orderings: list[Ordering] = []
    """Columns that say which rows belong together or come first, and how surely a split must respect that."""
    hints: list[str] = []
    """Other problems that the table may hold, with the options that ask for them."""
    degraded: list[Degradation] = []


@tool(where="host", timeout_s=86_400)
def fetch_data(
    ctx: HostContext,
    source: Annotated[str | None, "Leave out: the user's own source is fetched."] = None,
) -> DataFetched:
    """Fetch the user's data to disk and describe its columns. Run this before seal_holdout."""
    from tools.conversion import described
    from tools.sources import fetch
    from tools.understanding.first_look import FirstLook, first_look

    if source is not None and source != ctx.wish.source:
        raise ToolRefused(f"only the user's own source is fetched: {ctx.wish.source!r}. Leave `source` out.")
    fetched = fetch(ctx.wish.source, ctx.run.vault, ctx.progress, most_bytes=ctx.wish.max_download)
    told = ctx.read_source()
    table = described(ctx.run.vault, MOST_COLUMNS_TOLD)
    wish, vault, extras = ctx.wish, ctx.run.vault, Extras()
    look = extras.make(
        "the guess of target, groups and order of time",
        lambda: first_look(vault, vault / "source", target=wish.target, goal=wish.goal, said=fetched.target),
    ) or FirstLook([], [], [])
    forbidden = wish.constraints.forbid  # what the team must not use, it is not pointed to either
    facts = DataFetched(
        source=ctx.wish.source,
        rows=told.rows,
        columns=told.columns,
        bytes=fetched.bytes,
        sha256=fetched.sha256,
        licence=fetched.licence,
        named_target=fetched.target,
        format=told.format,
        notes=[*fetched.notes, *told.notes, *_of_estimates(table), *_of_its_split(fetched, ctx.wish)],
        table=[FetchedColumn(**column) for column in table.columns],
        targets=[one for one in look.targets if one.column not in forbidden],
        orderings=[one for one in look.orderings if one.column not in forbidden],
        hints=[] if wish.named_task else look.hints,
        degraded=extras.left_out,
    )
    schema = [{"name": name, "type": kind} for name, kind in table.types.items()]
    files = [file.model_dump() for file in fetched.files[:MOST_FILES_LISTED]]
    dialect = told.dialect.model_dump(exclude_none=True)
    more = {"fetched_at": fetched.fetched_at, "files": files, "schema": schema, "dialect": dialect}
    write_json(ctx.run.manifest, {**facts.model_dump(exclude={"table", "targets", "orderings", "hints", "degraded"}), **more})
    return facts


def _of_estimates(table: Described) -> list[str]:
    """That numbers of different values are none that were counted."""
    from tools.formats.contract import told
    from tools.tally import MOST_KEPT

    if not table.estimated:
        return []
    which = f"{len(table.estimated)} columns with more than {MOST_KEPT:,} ({told(table.estimated)})"
    return [f"How many different values there are was estimated, to half a per cent, for {which}: the table is read piece by piece."]


def _of_its_split(fetched: Fetched, wish: Wish) -> list[str]:
    """That a source brings a split of its own, where nobody asked for it."""
    if fetched.split is None or wish.own_split:
        return []
    what = f"in {len(fetched.split.folds)} folds" if fetched.split.folds else f"into {', '.join(sorted(fetched.split.parts))}"
    return [f"The source brings a split of its own ({what}), which is not used: --own-split takes it."]
