"""The solution tree: every model and attempt stands where it came from, with its move, its score and how sure that is."""

from __future__ import annotations

from pathlib import Path

from reports.facts import read_facts
from reports.html import compose
from reports.ledger import read_ledger
from reports.solution_tree import MOST_NODES, grow, tree_chart
from team.events import AttemptMade
from team.rundir import RunDir
from tests.reports.written import SCORES, Written


def _grown(out: Path) -> RunDir:
    """Baselines, a first search, what tuning made of it, a draft, its failed change, that mended, and a blend."""
    with Written(out) as w:
        w.start()
        w.enter("train")
        w.seal()
        w.turn("engineer", "train")
        folds = [0.96, 0.97, 0.98, 0.96, 0.99]
        for name, facts in SCORES.items():
            w.add(w.score(name, *facts))
        w.add(w.score("lightgbm-2", "lightgbm", "train", [0.9] * 5))
        w.add(AttemptMade(name="own", move="draft", parent=None, idea="", score=0.91, std_error=0.011, lesson="the first of its kind"))
        w.add(w.score("own", "code", "train", [0.91] * 5))
        w.add(AttemptMade(name="own-<b>", move="improve", parent="own", idea="", lesson="it raised"))
        mended = {"gain": 0.052, "gain_std_error": 0.013, "against": "own", "real": True}
        w.add(AttemptMade(name="own-<b>", move="debug", parent="own-<b>", idea="", score=0.962, std_error=0.012, lesson="better", **mended))
        w.add(w.score("own-<b>", "code", "train", [0.962] * 5))
        w.add(w.score("lightgbm-tuned-1", "lightgbm", "optimise", [value + 0.005 for value in folds]))
        w.add(w.score("ensemble", "ensemble", "select", [0.98] * 5))
    return w.run


def test_what_changes_or_mends_another_hangs_on_it(tmp_path: Path) -> None:
    nodes = grow(read_facts(_grown(tmp_path).path))
    name_of = {node.event: node.name for node in nodes}
    assert [(node.name, node.move, name_of.get(node.parent or -1), node.score is not None) for node in nodes] == [
        ("dummy-1", "baseline", None, True),
        ("linear-1", "baseline", None, True),
        ("lightgbm-1", "draft", None, True),
        ("lightgbm-2", "draft", None, True),
        ("own", "draft", None, True),
        ("own-<b>", "improve", "own", False),
        ("own-<b>", "debug", "own-<b>", True),
        ("lightgbm-tuned-1", "improve", "lightgbm-1", True),
        ("ensemble", "blend", None, True),
    ]
    assert [node.name for node in nodes if node.chosen] == ["ensemble"]


def test_it_is_drawn_with_scores_and_noise_and_tells_each_node_to_pointer_and_keys(tmp_path: Path) -> None:
    (chart,) = tree_chart(read_facts(_grown(tmp_path).path), "{:.3f}".format)
    assert chart.label == "9 models and attempts, taken ensemble with 0.980"
    told = [text for _, text in chart.told]
    assert "debug own-<b>: ROC AUC 0.962 ± 0.012; +0.052 ± 0.013 against own: more than chance" in told
    assert "improve own-<b>: not scored" in told
    edges, *nodes = chart.figure["data"]
    assert edges["x"].count(None) == 3, "a line for each that came of another"
    assert [trace["name"] for trace in nodes] == ["baseline", "draft", "improve", "debug", "blend", "without a score"]
    row = {text: y for trace in nodes for text, y in zip(trace["hovertext"], trace["y"], strict=True)}
    order = [text.split(":")[0] for text, _ in sorted(row.items(), key=lambda one: one[1])]
    assert order[2:4] == ["draft lightgbm-1", "improve lightgbm-tuned-1"], "what came of a node stands under it"


def test_all_that_it_says_is_on_record(tmp_path: Path) -> None:
    run = _grown(tmp_path)
    page = compose(read_facts(run.path), {}, None, read_ledger(run.path))
    assert "9 models and attempts, 1 of them without a score" in page
    assert 'id="solutions"' in page


def test_a_large_tree_is_cut_and_says_so(tmp_path: Path) -> None:
    with Written(tmp_path) as w:
        w.start()
        for number in range(MOST_NODES + 5):
            w.add(w.score(f"linear-{number}", "linear", "train", [0.9, 0.8]))
    facts = read_facts(w.run.path)
    (chart,) = tree_chart(facts, "{:.3f}".format)
    assert "and 5 more are not" in chart.note
    assert len(chart.told) == MOST_NODES
    assert not list(tree_chart(facts.model_copy(update={"leaderboard": facts.leaderboard[:1]}), "{:.3f}".format))
