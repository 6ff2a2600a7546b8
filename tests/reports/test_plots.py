"""Only images that decode get into a document, and only their pixels."""

from __future__ import annotations

import base64
import io
import struct
import zlib

import pytest

from reports.plots import MAX_PNG_BYTES, BadImage, checked_png
from tests.reports.written import encoded, png


def test_an_image_keeps_its_pixels_and_loses_its_texts() -> None:
    checked = checked_png(encoded(png()))
    assert b"IDAT" in checked
    assert b"tEXt" not in checked
    assert checked_png(encoded(checked)) == checked


def test_line_breaks_in_base64_are_fine() -> None:
    assert checked_png(base64.encodebytes(png()).decode()) == checked_png(encoded(png()))


def test_what_matplotlib_draws_passes() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1, 1), dpi=40)
    FigureCanvasAgg(figure)
    figure.subplots().plot([1, 2])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    assert checked_png(encoded(buffer.getvalue())).startswith(b"\x89PNG")


def with_header(**changes: int) -> bytes:
    fields = {"width": 3, "height": 2, "depth": 8, "colour": 0, "compression": 0, "filter": 0, "interlace": 0, **changes}
    header = b"IHDR" + struct.pack(">IIBBBBB", *fields.values())
    image = png()
    return image[:12] + header + struct.pack(">I", zlib.crc32(header)) + image[33:]


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"<svg onload=alert(1)>", "signature"),
        (png()[:-6], "cut off|damaged"),
        (png()[:40] + b"\xff" + png()[41:], "damaged"),
        (png()[:8], "cut off"),
        (with_header(width=4), "pixels"),
        (with_header(width=1_000_000), "pixels"),
        (with_header(height=0), "pixels"),
        (with_header(width=8192, height=8192, colour=6), "268,443,648 bytes"),
        (with_header(depth=3), "depth"),
        (with_header(colour=5), "depth"),
        (with_header(interlace=1), "interlacing"),
        (png() + bytes(MAX_PNG_BYTES), "too large"),
    ],
)
def test_what_is_no_image_is_refused(image: bytes, reason: str) -> None:
    with pytest.raises(BadImage, match=reason):
        checked_png(encoded(image))


@pytest.mark.parametrize("value", [None, 7, ["x"], "not base64!", "x" * (3 * MAX_PNG_BYTES)])
def test_what_is_no_base64_is_refused(value: object) -> None:
    with pytest.raises(BadImage):
        checked_png(value)


def test_what_follows_the_end_is_not_kept() -> None:
    assert b"appended" not in checked_png(encoded(png() + b"appended"))
