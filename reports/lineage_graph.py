"""The lineage of prepared columns as a graph in inline SVG: raw columns to the left, then what each step made of them.

Column names come from the data, so every text is escaped, without characters that act on whoever shows it, and nothing else of them goes
into the markup.
"""

from __future__ import annotations

from markupsafe import Markup, escape

from reports.table_findings import Lineage, MadeColumn
from reports.visible import visible

WIDTH, GAP, ROW, TOP = 200, 70, 24, 34
"""Of a layer, between two layers, of a node with its room, and above the first node; in user units, 12 to a letter's height."""
MOST_NODES = 24
"""Nodes of a layer that are drawn; the rest are counted."""
MOST_LETTERS = 25
SEEN = "what models see"


def lineage_svg(lineage: Lineage) -> Markup:
    """The graph; empty without a column. Where no step made one it is from raw columns straight to what models see."""
    if not lineage.made:
        seen_as = tuple(MadeColumn(column=name, step=len(lineage.steps), sources=sources) for name, sources in lineage.prepared.items())
        lineage = lineage.model_copy(update={"steps": (*lineage.steps, SEEN), "made": seen_as})
    layers: list[list[str]] = [[] for _ in range(len(lineage.steps) + 1)]
    edges: list[tuple[tuple[int, str], tuple[int, str]]] = []
    standing = {name: (0, name) for name in lineage.raw}
    for place in range(len(lineage.steps)):
        made = [one for one in lineage.made if one.step == place]
        for one in made:
            edges += [(standing[source], (place + 1, one.column)) for source in one.sources if source in standing]
            layers[place + 1].append(one.column)
        standing |= {one.column: (place + 1, one.column) for one in made}
    used = {start for start, _ in edges}
    layers[0] = [name for name in lineage.raw if (0, name) in used]
    drawn = [(title, nodes) for title, nodes in zip(["raw columns", *lineage.steps], layers, strict=True) if nodes]
    if len(drawn) < 2:
        return Markup("")
    # A step that makes nothing, as one that chooses, has no layer of its own.
    layer_of = {place: at for at, place in enumerate(place for place, nodes in enumerate(layers) if nodes)}
    at = {
        (place, name): (layer_of[place] * (WIDTH + GAP), TOP + ROW * row)
        for place, nodes in enumerate(layers)
        for row, name in enumerate(nodes[:MOST_NODES])
    }
    seen = {standing[name] for name in lineage.prepared if name in standing}
    parts = [_edge(at[start], at[end]) for start, end in edges if start in at and end in at]
    parts += [_node(name, *corner, final=(place, name) in seen) for (place, name), corner in at.items()]
    for column, (title, nodes) in enumerate(drawn):
        x = column * (WIDTH + GAP)
        parts.append(f'<text class="step" x="{x}" y="16">{escape(_cut(title))}</text>')
        if len(nodes) > MOST_NODES:
            parts.append(f'<text class="more" x="{x}" y="{TOP + ROW * MOST_NODES + 14}">and {len(nodes) - MOST_NODES} more</text>')
    width = len(drawn) * (WIDTH + GAP) - GAP
    height = TOP + ROW * (min(MOST_NODES, max(len(nodes) for _, nodes in drawn)) + 1)
    head = f'<svg class="lineage" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="lineage">'
    return Markup(head + "".join(parts) + "</svg>")


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x, y, to_x, to_y = start[0] + WIDTH, start[1] + ROW // 2 - 2, end[0], end[1] + ROW // 2 - 2
    bend = (x + to_x) // 2 if to_x - x <= GAP else to_x - GAP // 2
    return f'<path d="M{x} {y}C{bend} {y} {bend} {to_y} {to_x} {to_y}"/>'


def _node(name: str, x: int, y: int, *, final: bool) -> str:
    text = f'<title>{escape(visible(name))}</title><rect x="{x}" y="{y}" width="{WIDTH}" height="{ROW - 4}" rx="4"/>'
    return f'<g class="{"seen" if final else "passed"}">{text}<text x="{x + 8}" y="{y + 14}">{escape(_cut(name))}</text></g>'


def _cut(name: str) -> str:
    shown = visible(name)
    return shown if len(shown) <= MOST_LETTERS else shown[: MOST_LETTERS - 1] + "…"
