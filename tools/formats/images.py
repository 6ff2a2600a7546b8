"""Folders of images, one folder a class, as a table of the class and of simple features of each picture.

The features are sizes, colours, edges and a thumbnail of 8 by 8 grey values: enough to tell apart what differs in colour and
layout, and no more. No network looks at the pictures. Paths are not kept: they name the class.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tools.formats.contract import Reading, told
from tools.tables import TableError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
THUMBNAIL = 8
MOST_PIXELS = 100_000_000
"""Of one picture; a small file can unpack to any size."""


def read_images(folder: Path, pictures: list[Path]) -> Reading:
    """Read pictures, sorted by path. The class is the name of the folder that a picture lies in.

    Raises:
        TableError: when no picture can be read, or all lie in one folder.
    """
    import pandas as pd

    classes = sorted({picture.parent.name for picture in pictures})
    if len(classes) < 2:
        raise TableError(f"{folder.name}: all {len(pictures)} pictures lie in one folder; expected a folder for each class")
    rows, broken = [], []
    for picture in sorted(pictures):
        try:
            rows.append({"label": picture.parent.name, **_features(picture)})
        except (OSError, ValueError, SyntaxError, MemoryError) as error:
            broken.append(f"{picture.parent.name}/{picture.name}: {type(error).__name__}")
    if not rows:
        raise TableError(f"{folder.name}: none of the {len(pictures)} pictures can be read, such as {broken[0]}")
    kept = "the class in `label`, sizes, colours, edges and a thumbnail of grey values"
    left = "No network looked at them, and their paths, which name the class, were left out."
    notes = [f"{len(rows):,} pictures of {len(classes)} classes became a row each: {kept}. {left}"]
    notes += [f"{len(broken):,} pictures could not be read and were left out: {told(broken)}."] if broken else []
    return Reading(pd.DataFrame(rows), "images", notes)


def _features(picture: Path) -> dict[str, Any]:
    import numpy as np
    from PIL import Image

    with Image.open(picture) as image:
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise ValueError(f"{width}x{height} pixels")
        small = np.asarray(image.convert("RGB").resize((64, 64)), dtype=np.float64)
        thumbnail = np.asarray(image.convert("L").resize((THUMBNAIL, THUMBNAIL)), dtype=np.float64)
    grey = small.mean(axis=2)
    features: dict[str, Any] = {"width": width, "height": height, "aspect": width / height}
    for i, colour in enumerate(("red", "green", "blue")):
        features |= {f"{colour}_mean": small[:, :, i].mean(), f"{colour}_std": small[:, :, i].std()}
    features["edges_across"] = float(np.abs(np.diff(grey, axis=1)).mean())
    features["edges_down"] = float(np.abs(np.diff(grey, axis=0)).mean())
    features |= {f"grey_{r}_{c}": float(thumbnail[r, c]) for r in range(THUMBNAIL) for c in range(THUMBNAIL)}
    return features
