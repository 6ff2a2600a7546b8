from __future__ import annotations

from typing import Any

import pytest

from team.sandbox import Limits
from team.sandbox.outputs import Outputs, plain_text

LIMITS = Limits(output_bytes=1000, rich_output_bytes=2000)


def collect(*messages: tuple[str, dict[str, Any]]) -> Outputs:
    outputs = Outputs(LIMITS)
    for kind, content in messages:
        outputs.feed(kind, content)
    return outputs


def out(text: str, name: str = "stdout") -> tuple[str, dict[str, Any]]:
    return "stream", {"name": name, "text": text}


def display(kind: str = "display_data", display_id: str | None = None, **data: Any) -> tuple[str, dict[str, Any]]:
    mimes = {name.replace("__", "+").replace("_", "/", 1): value for name, value in data.items()}
    return kind, {"data": mimes, "metadata": {}, "transient": {"display_id": display_id} if display_id else {}}


def test_consecutive_text_of_a_stream_is_one_output() -> None:
    outputs = collect(out("a"), out("b"), out("c", "stderr"), out("d"))
    assert [(o["name"], o["text"]) for o in outputs.notebook()] == [("stdout", "ab"), ("stderr", "c"), ("stdout", "d")]
    assert outputs.text() == "abcd"


def test_text_at_the_limit_is_whole() -> None:
    outputs = collect(*[out("x" * 10)] * 100)
    assert outputs.text() == "x" * 1000
    assert len(outputs.notebook()) == 1


@pytest.mark.parametrize("piece", [1, 7, 100, 499, 10_000])
def test_head_and_tail_are_kept_and_the_rest_is_counted(piece: int) -> None:
    text = "".join(f"{i:05}" for i in range(2000))
    outputs = collect(*[out(text[i : i + piece]) for i in range(0, len(text), piece)])
    assert outputs.text() == f"{text[:500]}\n[... 9,000 bytes cut; the first and last 500 are kept ...]\n{text[-500:]}"
    assert outputs.text() == outputs.text()


def test_characters_are_not_cut_in_two() -> None:
    text = collect(out("é" * 5000)).text()
    assert set(text.replace("\n", "")) >= {"é"}
    assert "�" not in text
    assert "9,000 bytes cut" in text


def test_alternating_streams_stay_within_bounds() -> None:
    outputs = Outputs(Limits(output_bytes=100_000))
    for i in range(30_000):
        outputs.feed(*out("ab", ("stdout", "stderr")[i % 2]))
    assert outputs.text() == "ab" * 30_000
    assert len(outputs.notebook()) < 10_000


def test_displays_stand_where_they_were_made() -> None:
    outputs = collect(out("before\n"), display(text_plain="<Figure>", image_png="iVBOR"), out("after\n"))
    assert [o["output_type"] for o in outputs.notebook()] == ["stream", "display_data", "stream"]
    assert outputs.text() == "before\n<Figure>\nafter\n"


def test_a_display_among_cut_text_is_kept() -> None:
    outputs = collect(out("x" * 5000), display(text_html="<b>kept</b>"), out("y" * 5000))
    assert any(o.get("data") == {"text/html": "<b>kept</b>"} for o in outputs.notebook())


def test_displays_over_the_limit_leave_a_note() -> None:
    outputs = collect(*[display(text_html="x" * 900)] * 40)
    assert sum("text/html" in o.get("data", {}) for o in outputs.notebook()) == 2
    assert "[left out: text/html of 90" in outputs.text()
    assert "[38 displays left out in all]" in outputs.text()


def test_progress_is_passed_on_but_only_its_last_state_is_kept() -> None:
    told: list[dict[str, Any]] = []
    outputs = Outputs(LIMITS, told.append)
    for fold in range(5000):
        outputs.feed(*display(**{"application_vnd.mlteam.progress__json": {"fold": fold}, "text_plain": "fold"}))
    assert len(told) == 5000
    assert [o["data"]["application/vnd.mlteam.progress+json"] for o in outputs.notebook()] == [{"fold": 4999}]
    assert outputs.text() == ""


def test_streams_are_passed_on_up_to_the_limit() -> None:
    told: list[dict[str, Any]] = []
    outputs = Outputs(LIMITS, told.append)
    for _ in range(100):
        outputs.feed(*out("x" * 64))
    assert sum(len(o["text"]) for o in told) == 1000


def test_an_update_replaces_the_display() -> None:
    outputs = collect(display(display_id="a", text_plain="10 %"), display("update_display_data", display_id="a", text_plain="90 %"))
    assert outputs.text() == "90 %\n"


def test_clear_output_clears_at_once_or_with_the_next_output() -> None:
    assert collect(out("old"), ("clear_output", {"wait": False})).text() == ""
    assert collect(out("old"), ("clear_output", {"wait": True})).text() == "old"
    assert collect(out("old"), ("clear_output", {"wait": True}), out("new")).text() == "new"


def test_the_last_result_counts() -> None:
    name = "application_vnd.mlteam.result__json"
    assert collect(display(**{name: {"a": 1}}), display(**{name: {"a": 2}})).result == {"a": 2}
    assert collect(display(**{name: {"a": 1}}), display(**{name: [1]})).result is None


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("stream", {}),
        ("stream", {"name": "stdout", "text": 5}),
        ("stream", {"name": "elsewhere", "text": "x"}),
        ("display_data", {"data": None}),
        ("display_data", {"data": {"text/plain": "x"}, "metadata": [1]}),
        ("display_data", {"data": {"application/json": float("nan")}}),
        ("display_data", {"data": {"text/plain": "x"}, "transient": 4}),
        ("error", {"ename": "E", "evalue": None, "traceback": []}),
        ("update_display_data", {"data": {}}),
        ("execute_input", {}),
    ],
)
def test_what_follows_no_format_is_dropped_and_counted(kind: str, content: dict[str, Any]) -> None:
    outputs = collect(out("kept\n"), (kind, content), out("too\n"))
    assert outputs.malformed == 1
    assert outputs.text().startswith("kept\n")
    assert "too\n" in outputs.text()


def test_lone_surrogates_never_reach_a_file() -> None:
    outputs = collect(out("a\ud800b"), display(text_plain="\udfff", application_json={"k\ud800": "\udcff"}))
    outputs.text().encode("utf-8")
    str(outputs.notebook()).encode("utf-8")


def test_plain_text_is_what_a_terminal_would_leave() -> None:
    assert plain_text("\x1b[1;31mred\x1b[0m \x1b]0;title\x07plain") == "red plain"
    assert plain_text(" 10%\r 50%\r100%\ndone\r\n") == "100%\ndone\n"
    assert plain_text("working\r") == "working"
