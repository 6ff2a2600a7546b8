"""The report is one file that asks for nothing, runs one script that is named by its hash, and says what the facts say."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from reports.diagnosis import diagnose
from reports.facts import read_facts
from reports.html import MOST_CANDIDATES, compose, write_report
from reports.interactive import charts_of
from reports.ledger import UnbackedFigure, read_ledger
from reports.pages import stylesheet
from reports.plotly_page import claims
from team.events import CallsRecovered, FellBack, HoldoutScored, ModelCalled, RepairAsked, Reviewed, RoundEnded, RunEnded, TurnEnded
from team.rundir import RunDir
from tests.reports.written import Written, encoded, evaluation, examined, finished, png, searched, slices, standings
from tools.contract import Split

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}</title></style>"
SCRIPT = stylesheet("plots.js", "report.js")
VOID = {"meta", "img", "br", "link", "input", "hr", "rect", "circle", "line", "path", "polyline", "polygon"}


class Page(HTMLParser):
    """Elements, ids, links and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.ids: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.scripts: list[str] = []
        """What is executed."""
        self.figures: list[str] = []
        self.packed = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.elements.append((tag, found))
        if "id" in found:
            self.ids.append(found["id"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            kind = self.elements[-1][1].get("type")
            if kind == "application/gzip":
                self.packed += data
            else:
                (self.figures if kind == "application/json" else self.scripts).append(data)
        elif self.open[-1:] != ["style"]:
            self.text += data

    def links(self) -> list[str]:
        return [attrs["href"] for tag, attrs in self.elements if "href" in attrs]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return finished(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def page(run: RunDir) -> Page:
    return Page(write_report(run.path))


def test_it_is_written_in_the_run_directory_and_nothing_else_is_left(run: RunDir) -> None:
    assert write_report(run.path) == run.report
    assert [path.name for path in run.reports.iterdir()] == ["report.html"]


def test_the_score_stands_with_its_interval_and_the_looks(page: Page) -> None:
    text = " ".join(page.text.split())
    assert "Predicting Sex" in text
    assert "0.9777" in text
    assert "95 % interval 0.9483 to 0.9973" in text
    assert "holdout looked at once" in text
    assert "higher is better" in text
    assert "A second paragraph." in text
    assert "Mass is no leak." in text


def test_every_element_is_closed(page: Page) -> None:
    assert page.open == []


def test_it_is_self_contained(page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"link", "iframe", "object", "embed", "base", "form"}
    (script,) = page.scripts
    policy = next(attrs["content"] for tag, attrs in page.elements if attrs.get("http-equiv") == "Content-Security-Policy")
    plotly = gzip.decompress(base64.b64decode(page.packed))
    assert b"plotly.js v" in plotly[:200]
    hashes = [base64.b64encode(hashlib.sha256(one).digest()).decode() for one in (script.encode(), plotly)]
    assert f"script-src 'sha256-{hashes[0]}' 'sha256-{hashes[1]}';" in policy, "Plotly as it is packed, this script, and no other"
    assert [attrs for tag, attrs in page.elements if tag == "script" and attrs.get("id") == "plotly"] == [
        {"type": "application/gzip", "id": "plotly"}
    ]
    assert (
        len([one for one in page.figures if '"data":' in one])
        == len([1 for tag, attrs in page.elements if attrs.get("class") == "plot"])
        > 2
    )
    assert all(attrs["src"].startswith("data:image/png;base64,") for _, attrs in page.elements if "src" in attrs)
    assert all(link.startswith("#") for link in page.links())
    assert not re.search(r"url\(|@import|https?://", page.source)


def test_links_lead_to_places_on_the_page(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links()} <= set(page.ids)


def test_the_score_links_to_its_event(run: RunDir, page: Page) -> None:
    number = next(n for n, line in enumerate(run.events.read_text().splitlines()) if '"holdout_scored"' in line)
    assert f"#e{number}" in page.links()


def test_what_the_score_owes_to_the_pick_stands_beside_the_holdout(run: RunDir, page: Page) -> None:
    number = next(n for n, line in enumerate(run.events.read_text().splitlines()) if '"optimism_estimated"' in line)
    assert f"#e{number}" in page.links()
    said = "lightgbm-1 has 0.9720; having been picked from 3 candidates on the same folds flatters it by about 0.0021"
    assert said in " ".join(page.text.split())
    assert re.search(r"leaves 0\.9699, and the holdout says 0\.9777", " ".join(page.text.split()))
    assert "not kept as candidates" not in page.text, "nothing was tuned"


def test_a_round_is_judged_by_what_the_best_of_so_many_must_gain(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.enter("optimise")
        w.turn("engineer", "optimise")
        for number, (gain, margin, tried) in enumerate([(0.02, 0.01, 3), (0.02, 0.03, 40), (0.02, None, 0)], 1):
            w.call("engineer", "tune", {"family": "lightgbm"}, {"gain": gain}, search=1.0)
            w.add(RoundEnded(round=number, gain=gain, noise=0.012, margin=margin, candidates=tried))
    text = " ".join(Page(write_report(w.run.path)).text.split())
    found = re.findall(r"lightgbm(\d*)0\.02 ± 0\.012 \d+?(0\.\d+)(real|inside the noise)", text)
    assert found == [("3", "0.01", "real"), ("40", "0.03", "inside the noise"), ("", "0.012", "real")]


def test_a_figure_that_is_on_no_record_ends_the_build_and_is_named(tmp_path: Path) -> None:
    run = searched(tmp_path)
    facts, ledger = read_facts(run.path), read_ledger(run.path)
    diagnosis = diagnose(run, facts)
    whole = compose(facts, {}, diagnosis, ledger)
    assert "<td" in whole
    assert "Trials of tuning that were not kept as candidates have no part in that estimate" in whole
    assert "count as independent in it" not in whole
    assert facts.contract is not None
    by_depth = facts.contract.model_copy(update={"split": Split(kind="group", column="Depth", holdout_fraction=0.2, seed=0)})
    few = compose(facts.model_copy(update={"contract": by_depth}), {}, None, ledger)
    assert "rows that belong together count as independent in it, so it is too narrow" in few, "its groups were too few to be drawn"
    assert facts.holdout is not None
    assert diagnosis is not None
    better = facts.model_copy(update={"holdout": facts.holdout.model_copy(update={"score": 0.98765})})
    with pytest.raises(UnbackedFigure, match=r"the report states '0\.9877'"):
        compose(better, {}, diagnosis, ledger)
    grander = facts.model_copy(update={"manifest": facts.manifest.model_copy(update={"rows": 98_765}) if facts.manifest else None})
    with pytest.raises(UnbackedFigure, match=r"the report states '98,765'"):
        compose(grander, {}, diagnosis, ledger)


@pytest.mark.parametrize(
    ("change", "stated"), [({"score": 0.98765}, "0.9877"), ({"std_error": 0.07654}, "0.07654"), ({"rows": 98_765}, "98,765")]
)
def test_what_charts_tell_a_pointer_and_a_screen_reader_is_held_against_the_record_as_well(
    tmp_path: Path, change: dict[str, Any], stated: str
) -> None:
    run = searched(tmp_path)
    facts, ledger = read_facts(run.path), read_ledger(run.path)
    assert facts.curve is not None
    points = (facts.curve.points[0].model_copy(update=change), *facts.curve.points[1:])
    grander = facts.model_copy(update={"curve": facts.curve.model_copy(update={"points": points})})
    said = claims(charts_of(grander, None, "{:.4f}".format)["curve"][0])
    assert stated in {lost for one in said for lost in ledger.unbacked(one, prose=False)}
    with pytest.raises(UnbackedFigure, match=re.escape(stated)):
        compose(grander, {}, None, ledger)
    page = compose(grander, {}, None, ledger, withhold=True)
    assert stated not in page
    assert str(next(iter(change.values()))) not in page, "neither is its mark drawn"
    assert '"hovertext":["withheld",' in page or '"hovertext":[null,' in page


def test_a_run_is_not_left_without_its_report_by_such_a_figure(tmp_path: Path) -> None:
    run = searched(tmp_path)
    facts, ledger = read_facts(run.path), read_ledger(run.path)
    diagnosis = diagnose(run, facts)
    assert facts.holdout is not None
    better = facts.model_copy(update={"holdout": facts.holdout.model_copy(update={"score": 0.98765})})
    page = compose(better, {}, diagnosis, ledger, withhold=True)
    assert "0.9877" not in page
    assert "figures of this page are withheld" in page
    assert "are withheld" not in compose(facts, {}, diagnosis, ledger, withhold=True)


def test_the_same_run_gives_the_same_bytes_wherever_it_lies(run: RunDir, tmp_path: Path) -> None:
    first = write_report(run.path).read_bytes()
    copy = tmp_path / run.name
    shutil.copytree(run.path, copy)
    assert write_report(copy).read_bytes() == first


def test_hostile_names_are_text(tmp_path: Path) -> None:
    run = finished(tmp_path, name=HOSTILE, target=HOSTILE, goal=HOSTILE, source=HOSTILE)
    page = Page(write_report(run.path))
    assert page.open == []
    assert page.scripts == [SCRIPT]
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    assert all(attrs["src"].startswith("data:") for _, attrs in page.elements if "src" in attrs)
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text


def test_what_models_wrote_is_text_without_controls(tmp_path: Path) -> None:
    words = f"\x1b[2J{HOSTILE}\x00\x9b31m\u202e\u2028"
    with Written(tmp_path) as w:
        w.start()
        w.enter("train")
        w.turn("engineer", "train")
        w.add(RepairAsked(turn=1, role="engineer", problem=words))
        w.add(CallsRecovered(turn=1, role="engineer", tools=[words], form=words))
        w.call("engineer", words, {words: [words]}, {words: words})
        w.add(FellBack(stage="train", role=words, reason=words))
        w.say("engineer", words)
    page = Page(write_report(w.run.path))
    assert page.open == []
    assert page.scripts == [SCRIPT]
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    assert page.text.count("<script>alert(1)</script>") >= 5
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028]", page.text)


def test_characters_that_reorder_text_are_removed(tmp_path: Path) -> None:
    run = finished(tmp_path, name="a\u202eb\u200bc\x07d")
    source = write_report(run.path).read_text(encoding="utf-8")
    assert "abcd is strong." in source
    assert not re.search("[\u202e\u200b\x07]", source)


def test_long_names_are_cut(tmp_path: Path) -> None:
    run = finished(tmp_path, name="long " * 5000)
    assert '<th scope="row">' + "long " * 15 + "long…" in write_report(run.path).read_text(encoding="utf-8")


def test_images_are_those_of_the_cells_and_importance_is_drawn_here(page: Page) -> None:
    shown = [attrs["alt"] for tag, attrs in page.elements if tag == "img"]
    assert shown == ["lightgbm 1 roc", "missing"]
    assert "tEXt" not in page.source


def test_an_image_that_does_not_decode_is_left_out(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.add(w.score("lightgbm-1", "lightgbm", "train", [0.9, 0.8]))
        w.turn("engineer", "select")
        call = w.call("engineer", "evaluate", {}, evaluation())
        w.cell(call, "evaluate", "evaluate()", stage="select", result=evaluation(), images=[b"<svg onload=alert(1)>", png()])
    page = Page(write_report(w.run.path))
    assert [tag for tag, _ in page.elements if tag == "img"] == []
    assert encoded(b"<svg onload=alert(1)>") not in page.source


def test_free_form_cells_put_nothing_into_the_report(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.turn("engineer", "train")
        call = w.call("engineer", "run_python", {"code": "print(1)"})
        html = {"output_type": "display_data", "data": {"text/html": "<script>alert(3)</script>"}, "metadata": {}}
        w.cell(call, "run_python", "print(1)", outputs=[html], images=[png()])
    page = Page(write_report(w.run.path))
    assert "alert(3)" not in page.source
    assert not any(tag == "img" for tag, _ in page.elements)


def test_a_run_that_has_only_begun(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start(target=None)
        w.enter("plan")
    text = " ".join(Page(write_report(w.run.path)).text.split())
    assert "This run has not ended: it stands in stage plan." in text


def test_cross_validation_stands_in_while_the_holdout_is_sealed(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.seal()
        w.add(w.score("dummy-1", "dummy", "baseline", [0.5, 0.5]))
        w.add(w.score("lightgbm-1", "lightgbm", "train", [0.9, 0.8]))
    text = " ".join(Page(write_report(w.run.path)).text.split())
    assert "ROC AUC in cross-validation" in text
    assert "The holdout is still sealed" in text


def test_a_failed_run_says_why_and_fallbacks_are_told(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.turn("engineer", "train")
        w.add(FellBack(stage="train", role="engineer", reason="model x failed: 500"))
        w.add(RunEnded(status="failed", reason="nothing could be trained", seconds=1.0))
    text = " ".join(Page(write_report(w.run.path)).text.split())
    assert "This run ended as failed: nothing could be trained" in text
    assert "Fallback in stage train, engineer: model x failed: 500" in text


def test_more_than_one_look_is_told(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.seal(task="regression", metric="rmse", direction="minimize", classes=[], positive=None)
        w.turn("critic", "select")
        w.add(HoldoutScored(candidate="a", metric="rmse", score=12345.6, low=12000.0, high=13000.0, level=0.9, n=1000, looks=3))
    text = " ".join(Page(write_report(w.run.path)).text.split())
    assert "The holdout was looked at 3 times." in text
    assert "12,346" in text
    assert "lower is better" in text
    assert "90 % interval" in text


@pytest.mark.parametrize("folds", [[1.0, 1.0], [0.0, 0.0], [-3.0, 1e12], [1e-9, 2e-9]])
def test_any_scores_can_be_drawn(tmp_path: Path, folds: list[float]) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.add(w.score("dummy-1", "dummy", "baseline", [-1e15, 1.0]))
        w.add(w.score("a", "linear", "baseline", folds))
    page = Page(write_report(w.run.path))
    places = [attrs[k] for tag, attrs in page.elements for k in ("cx", "x1", "x2") if tag in ("circle", "line") and k in attrs]
    assert places
    assert all(0 <= float(place.rstrip("%")) <= 100 for place in places)


def test_a_long_leaderboard_is_cut_but_keeps_the_baselines(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.add(w.score("dummy-1", "dummy", "baseline", [0.5, 0.5]))
        for k in range(MOST_CANDIDATES + 20):
            w.add(w.score(f"candidate-{k}", "linear", "train", [0.9 - k / 1000, 0.8]))
    board = write_report(w.run.path).read_text(encoding="utf-8").partition('<section id="method">')[0]
    text = " ".join(re.sub(r"<[^>]*>", " ", board).split())
    assert f"candidate-{MOST_CANDIDATES - 1}" in text
    assert f"candidate-{MOST_CANDIDATES}" not in text
    assert f"{MOST_CANDIDATES + 21} dummy-1 baseline" in text
    assert "20 more are in leaderboard.json" in text


def test_where_it_fails_what_it_relies_on_and_whether_more_data_would_help(tmp_path: Path) -> None:
    run = examined(tmp_path)
    page = Page(write_report(run.path))
    text = " ".join(page.text.split())
    assert "Mass > 4200 and Depth = 'a'" in text
    assert "1,357 slices of one and two conditions were looked at" in text
    assert "61 23 %" in text
    assert "0.4321" in text
    assert "<0.001" in text
    assert "fitted without one fold and explained on 53 of its rows, which it has not seen" in text
    assert "0.1579 ± 0.0120" in text
    assert "0.8642" in text
    assert "Mass = 4250 +1.5, Depth = Mass −0.25" in text
    assert "1.35 FEMALE" in text
    assert "Twice the rows are likely to help." in text
    assert "0.0187 in ROC AUC, 90 % interval 0.0049 to 0.0312" in text
    assert [attrs["alt"] for tag, attrs in page.elements if tag == "img"] == ["lightgbm 1 effect 1"]
    assert "Learning curve of lightgbm-1 at 3 sizes" in page.source, "drawn here, and so its image is left out"
    assert page.open == []
    lines = run.events.read_text().splitlines()
    assert "cannot tell lightgbm-1 apart from linear-1." in text, "whose speed nobody measured"
    assert "corrected for all 3 pairs of these candidates (Holm)" in text
    assert "linear-10.96000.432<0.001no dummy-10.50000.012<0.001yes" in text
    assert "The choice among linear, tree, made again inside 3 of 5 folds, scores 0.9512 ± 0.0123 on rows that had no part in it" in text
    assert "says 0.9602 on these rows, 0.009 better, where resampling its predictions alone estimated 0.0045" in text
    for tool in ("find_slices", "explain", "learning_curve", "compare_models", "nested_score"):
        number = max(n for n, line in enumerate(lines) if '"tool_returned"' in line and f'"{tool}"' in line)
        assert f"#e{number}" in page.links(), f"figures of {tool} have no source"
    assert "would gain 0.777" not in text, "the curve of another candidate is not this one's"


def test_what_was_not_tested_is_not_called_alike(tmp_path: Path) -> None:
    rivals = [{**rival, "p": None, "apart": False} for rival in standings()["rivals"]]
    with Written(tmp_path) as w:
        w.start()
        w.seal()
        w.turn("critic", "select")
        w.add(w.score("lightgbm-1", "lightgbm", "train", [0.97]))
        w.call("critic", "compare_models", {"leader": "lightgbm-1"}, standings() | {"rivals": rivals, "alike": [], "decided": False})
    text = " ".join(Page(write_report(w.run.path)).text.split())
    assert "Whether lightgbm-1 is better than the best of the other families was not tested: that takes two folds." in text
    assert "linear-10.9600–<0.001not tested" in text
    assert "told apart" not in text.replace("Told apart", "")


def test_without_them_there_are_no_such_sections(page: Page) -> None:
    assert not {"slices", "explanation", "curve"} & set(page.ids)


def test_no_slice_is_a_finding_too(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.turn("critic", "select")
        w.call("critic", "find_slices", {}, {**slices(), "slices": []})
    text = " ".join(Page(write_report(w.run.path)).text.split())
    assert "No slice is worse than the rest beyond chance. 1,357 slices" in text
    assert "the worst 9 were tested on the other half, at a level of 5 % for all together" in text


def test_hostile_columns_are_text_in_what_was_examined(tmp_path: Path) -> None:
    page = Page(write_report(examined(tmp_path, HOSTILE).path))
    assert page.open == []
    assert page.scripts == [SCRIPT]
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)


def test_cost_stands_by_role_and_by_stage(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        for stage, role, tokens, usd in (("plan", "planner", 1200, 0.25), ("train", "engineer", 3400, 0.5), ("train", "critic", 50, None)):
            w.enter(stage)
            w.turn(role, stage)
            for _ in range(2):
                facts = {"provider": "openai", "model": "gpt", "finish_reason": "stop", "seconds": 1.25, "usd": usd}
                w.add(ModelCalled(turn=w._turn, role=role, input_tokens=tokens, output_tokens=7, **facts))
            w.call(role, "record_plan", {}, {"approach": "x"})
            w.add(TurnEnded(turn=w._turn, role=role, status="ok", seconds=42.0))
    facts = read_facts(w.run.path)
    assert [(r.role, r.turns, r.calls, r.seconds) for r in facts.by_role] == [(r, 1, 1, 42.0) for r in ("planner", "engineer", "critic")]
    train = facts.by_stage["train"]
    assert (train.calls, train.input_tokens, train.output_tokens, train.usd, train.seconds) == (4, 6900, 28, None, 5.0)
    assert facts.by_stage["plan"].usd == 0.5
    text = " ".join(Page(write_report(w.run.path)).text.split())
    assert "engineer1142.0 s" in text.replace(" 1 1 ", "11")
    assert "plan22,400142.5 s$0.50" in text
    assert "train46,900285.0 s" in text
    assert "price unknown" in text
    assert "withheld" not in text


def test_a_run_of_the_playbook_alone_has_no_table_of_tokens(page: Page) -> None:
    assert "Tokens in" not in page.text
    assert "The playbook spoke for every role" in page.text


def test_a_review_that_states_what_is_on_no_record_is_marked(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        w.enter("train")
        w.turn("critic", "train")
        w.add(w.score("linear-1", "linear", "train", [0.9] * 5))
        w.add(Reviewed(stage="train", verdict="accept", findings=["linear-1 has 0.9.", "Its log loss is 0.412."]))
    page = Page(write_report(w.run.path))
    assert page.text.count("on no record:") == 1
    assert "on no record: 0.412" in page.text
