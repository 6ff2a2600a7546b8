"""Plots of a run: PNG images among the outputs of its cells, each checked before it goes into a document.

The kernel that drew them ran code that is not trusted, so an image is taken apart and put together again from what
decodes: signature, chunk checksums, size, and pixel data of exactly the length that the header announces.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from reports.findings import Fact
from team.cells import read_cells
from team.rundir import RunDir

PLOTTING_TOOLS = ("profile_table", "evaluate", "learning_curve", "explain", "examine_structure")
"""Tools whose plots belong to the report; what free-form cells drew stays in the notebook."""
MAX_PNG_BYTES = 2 << 20
MAX_SIDE = 8192
MAX_PIXEL_BYTES = 64 << 20
"""Unpacked. Packed, half a gigabyte of one colour takes less than `MAX_PNG_BYTES`."""
MAX_PLOTS = 24
MAX_TOTAL_BYTES = 12 << 20

RESULT_MIME = "application/vnd.mlteam.result+json"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEPT_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


class BadImage(ValueError):
    """Bytes that are no PNG image that can be shown; the message says what is wrong."""


class Plot(Fact):
    """A plot that a cell showed."""

    name: str
    """File name without folder and ending, such as `ensemble-roc`."""
    tool: str
    cell: int
    """Position of the cell in `cells.jsonl`."""
    output: int
    """Position of the image among the outputs of the cell."""


def list_plots(run: RunDir) -> tuple[Plot, ...]:
    """The plots of the last good cell of each plotting tool, in the order they were shown."""
    last = {cell["tool"]: cell for cell in read_cells(run.cells) if cell["tool"] in PLOTTING_TOOLS and cell["status"] == "ok"}
    return tuple(plot for tool in PLOTTING_TOOLS if tool in last for plot in _of_cell(last[tool]))


def read_images(run: RunDir, plots: tuple[Plot, ...]) -> dict[str, bytes]:
    """PNG bytes by the name of the plot; images that are damaged, too large or too many are left out."""
    wanted = {(plot.cell, plot.output): plot.name for plot in plots[:MAX_PLOTS]}
    cells = {plot.cell for plot in plots}
    images: dict[str, bytes] = {}
    room = MAX_TOTAL_BYTES
    for cell in read_cells(run.cells):
        if cell["cell"] not in cells:
            continue
        for number, output in enumerate(cell["outputs"]):
            name = wanted.get((cell["cell"], number))
            if name is None:
                continue
            try:
                image = checked_png(output["data"]["image/png"])
            except BadImage:
                continue
            if len(image) <= room:
                room -= len(image)
                images[name] = image
    return images


def checked_png(encoded: object) -> bytes:
    """Decode a PNG image in base64, check it, and give it back without texts, profiles and other ancillary chunks.

    Raises:
        BadImage: when it is no complete PNG image of at most 2 MiB, 8192 pixels a side and 64 MiB of pixels.
    """
    if not isinstance(encoded, str) or len(encoded) > 2 * MAX_PNG_BYTES:
        raise BadImage("no text, or too long")
    try:
        content = base64.b64decode("".join(encoded.split()), validate=True)
    except binascii.Error as error:
        raise BadImage(str(error)) from None
    if not content.startswith(_SIGNATURE) or len(content) > MAX_PNG_BYTES:
        raise BadImage("no PNG signature, or too large")
    chunks = list(_chunks(content))
    if [chunks[0][0], chunks[-1][0]] != [b"IHDR", b"IEND"]:
        raise BadImage("header or end is missing")
    _check_pixels(chunks[0][1], b"".join(body for kind, body in chunks if kind == b"IDAT"))
    kept = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
        if kind in _KEPT_CHUNKS
    )
    return _SIGNATURE + b"".join(kept)


def png_size(image: bytes) -> tuple[int, int]:
    """Width and height in pixels of a checked image."""
    width, height = struct.unpack_from(">II", image, len(_SIGNATURE) + 8)
    return width, height


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    kind = b""
    while kind != b"IEND":
        if at + 12 > len(content):
            raise BadImage("cut off")
        (length,), kind = struct.unpack_from(">I", content, at), content[at + 4 : at + 8]
        body = content[at + 8 : at + 8 + length]
        checksum = content[at + 8 + length : at + 12 + length]
        if len(checksum) < 4 or struct.unpack(">I", checksum)[0] != zlib.crc32(kind + body):
            raise BadImage(f"chunk {kind!r} is damaged")
        yield kind, body
        at += 12 + length


def _check_pixels(header: bytes, compressed: bytes) -> None:
    if len(header) != 13:
        raise BadImage("header of a wrong length")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(">IIBBBBB", header)
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE) or depth not in _DEPTHS.get(colour, ()):
        raise BadImage(f"{width} × {height} pixels of depth {depth}")
    if (compression, filtering, interlace) != (0, 0, 0):
        raise BadImage("unusual compression, filter or interlacing")
    expected = height * (1 + (width * depth * _CHANNELS[colour] + 7) // 8)
    if expected > MAX_PIXEL_BYTES:
        raise BadImage(f"{width} × {height} pixels of {expected:,} bytes")
    try:
        pixels = zlib.decompressobj().decompress(compressed, expected + 1)
    except zlib.error as error:
        raise BadImage(f"pixel data: {error}") from None
    if len(pixels) != expected:
        raise BadImage(f"{len(pixels)} bytes of pixels, expected {expected}")


def _of_cell(cell: dict[str, Any]) -> Iterator[Plot]:
    shown = [number for number, output in enumerate(cell["outputs"]) if "image/png" in (output.get("data") or {})]
    names = _names(cell)
    if len(names) != len(shown) or len(set(names)) != len(names):
        names = [f"{cell['tool']}-{k}" for k in range(1, len(shown) + 1)]
    for number, name in zip(shown, names, strict=True):
        yield Plot(name=name, tool=cell["tool"], cell=cell["cell"], output=number)


def _names(cell: dict[str, Any]) -> list[str]:
    for output in cell["outputs"]:
        result = (output.get("data") or {}).get(RESULT_MIME)
        if isinstance(result, dict) and isinstance(result.get("plots"), list):
            return [PurePosixPath(str(path)).stem[:80] for path in result["plots"]]
    return []
