"""Figures of a run that display themselves: the plots that its cells drew, each checked before it is shown."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path

from reports.plots import list_plots, png_size, read_images
from team.rundir import RunDir

SHOWN_WIDTH = 560
"""Pixels of the widest figure in a gallery."""


class Figure:
    """A plot as a PNG image; as the last value of a cell it shows itself."""

    def __init__(self, name: str, tool: str, png: bytes) -> None:
        self.name, self.tool, self.png = name, tool, png
        self.size = png_size(png)

    def save(self, path: str | Path) -> Path:
        """Write the image to a file."""
        Path(path).write_bytes(self.png)
        return Path(path)

    def _repr_png_(self) -> bytes:
        return self.png

    def __repr__(self) -> str:
        return f"Figure({self.name!r}, {self.size[0]}x{self.size[1]}, drawn by {self.tool})"


class Figures(Mapping[str, Figure]):
    """The figures of a run by name, in the order they were drawn; as the last value of a cell all of them are shown."""

    def __init__(self, run: RunDir) -> None:
        plots = list_plots(run)
        images = read_images(run, plots)
        self._all = {plot.name: Figure(plot.name, plot.tool, images[plot.name]) for plot in plots if plot.name in images}

    def __getitem__(self, name: str) -> Figure:
        try:
            return self._all[name]
        except KeyError:
            raise KeyError(f"no figure {name!r}; there are: {', '.join(self._all) or 'none'}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def _repr_html_(self) -> str:
        shown = (
            f'<figure style="display:inline-block;margin:0 16px 16px 0;vertical-align:top">'
            f'<img alt="{escape(each.name)}" width="{min(SHOWN_WIDTH, each.size[0] // 2)}"'
            f' src="data:image/png;base64,{base64.b64encode(each.png).decode()}">'
            f"<figcaption>{escape(each.name)}</figcaption></figure>"
            for each in self._all.values()
        )
        return f"<div>{''.join(shown)}</div>" if self._all else "<p>This run has no figures.</p>"

    def __repr__(self) -> str:
        return f"Figures({', '.join(self._all) or 'none'})"
