"""The parts of the white paper, in their order: each takes the manuscript, the facts and the figures that there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reports import paper_results
from reports.commands import predict_command, repeat_command, replay_commands, run_command, said_by_no_option
from reports.facts import RunFacts
from reports.figures import compact, dollars, metric_said, source_name, task_title
from reports.manuscript import Manuscript
from reports.record import ModelUse, StageUse
from reports.references import MODELS, OF_FAMILY, cited, of_the_table
from reports.table_findings import Profile
from reports.tex import unsettable
from reports.winner import settings_of
from tools.candidates import ENSEMBLE
from tools.constraints import FLOORS
from tools.schemes import described

Part = Callable[[Manuscript, RunFacts, Mapping[str, bytes]], None]
MOST_COLUMNS = 30
MOST_SKIPPED = 12


def title(facts: RunFacts) -> str:
    """What the paper is about: the target and its source."""
    contract = facts.contract
    source = facts.manifest.source if facts.manifest else str(facts.settings.get("source", facts.name))
    source = source_name(source)
    if contract is None:
        return f"An experiment on {source}"
    if contract.predicts in ("groups", "scores"):
        return f"{'Groups' if contract.predicts == 'groups' else 'Anomalies'} in {source}"
    if contract.predicts == "labels":
        return f"Predicting {len(contract.classes)} labels from {source}"
    return f"{'Forecasting' if contract.forecast else 'Predicting'} {contract.target} from {source}"


def abstract(paper: Manuscript, facts: RunFacts, _: Mapping[str, bytes]) -> None:
    if text := facts.sections.get("abstract") or facts.sections.get("summary"):
        paper.abstract(text)
    if facts.status != "done":
        ended = "has not ended" if facts.status == "unfinished" else f"ended as {facts.status.replace('_', ' ')}"
        reason = f": {facts.reason.rstrip('.')}" if facts.reason else ""
        paper.say(f"The run that this paper tells of {ended}{reason}. What follows is what is known of it.")


def introduction(paper: Manuscript, facts: RunFacts, _: Mapping[str, bytes]) -> None:
    paper.section("Introduction")
    if text := facts.sections.get("introduction"):
        paper.say(text)
    elif facts.contract:
        paper.say(f"{task_title(facts.contract)}, judged by {metric_said(facts.contract.metric)}.")
    goal = facts.settings.get("goal")
    if goal and "introduction" not in facts.sections:
        paper.say(f"The wish was: {goal}")


def data(paper: Manuscript, facts: RunFacts, _: Mapping[str, bytes]) -> None:
    paper.section("Data")
    if m := facts.manifest:
        licence = f" Its licence is {m.licence}." if m.licence else " The source states no licence."
        lost = facts.rows_without_target
        without = f" {lost:,} {'row has' if lost == 1 else 'rows have'} no target and took no part." if lost else ""
        paper.say(f"The table was read from {m.source}: {m.rows:,} rows and {m.columns} columns, {m.bytes:,} bytes.{without}{licence}")
    if text := facts.sections.get("data"):
        paper.say(text)
    if (profile := facts.profile) is None:
        return
    paper.items([f"{one.message}" for one in profile.warnings[:8]])
    rows = [
        (
            one.column,
            one.kind,
            f"{100 * one.missing:.1f} %" if one.missing else "–",
            f"{one.unique:,}",
            one.top or " … ".join(part for part in (one.low, one.middle, one.high) if part),
            f"{one.association:.2f}" if one.association is not None else "–",
        )
        for one in profile.profiles[:MOST_COLUMNS]
    ]
    if any(unsettable(cell) for row in rows for cell in row):
        paper.say("Characters that no font here has, or whose script is not set letter by letter, stand as their code points in Unicode.")
    if methods_used := of_the_table(facts):
        told = ", ".join(methods_used.values())
        paper.say(f"Published methods tell of {' and '.join(told.rsplit(', ', 1))}", list(methods_used))
    _gates(paper, profile)
    left_out = len(profile.profiles) - len(rows) + profile.not_shown
    alone = any(one.association is not None for one in profile.profiles)
    told = ", and how well a small tree predicts the target from the column alone" if alone else ""
    paper.table(
        f"Columns of the {profile.rows:,} training rows: lowest, middle and highest value or the most frequent ones{told}."
        + (" More columns are in the event log." if left_out else ""),
        (0.25, 0.12, 0, 0, 0.31, 0)[: 6 if alone else 5],
        ("Column", "Kind", "Missing", "Distinct", "Values", "Alone")[: 6 if alone else 5],
        [row[: 6 if alone else 5] for row in rows],
    )


def _gates(paper: Manuscript, profile: Profile) -> None:
    """What was looked for that would make the score too good, and how good the table is."""
    found = profile.understanding
    paper.table(
        "Gates that look for leaks. A gate that fails stops nothing: it is for a person to judge.",
        (0.24, 0.12, 0.56),
        ("Gate", "Verdict", "Evidence"),
        [(gate.gate, gate.verdict, gate.evidence) for gate in found.gates],
    )
    paper.table(
        "Grades of the quality of the training table.",
        (0.18, 0, 0.62),
        ("Aspect", "Grade", "Why"),
        [(one.aspect, f"{one.grade}", one.why) for one in found.scorecard],
    )


def methods(paper: Manuscript, facts: RunFacts, _: Mapping[str, bytes]) -> None:
    paper.section("Methods")
    if text := facts.sections.get("method"):
        paper.say(text)
    if c := facts.contract:
        by = f" by {c.split.column}" if c.split.column else ""
        sampled = f" of a random sample of the {c.sampled_from:,} rows" if c.sampled_from else ""
        paper.say(
            f"Contract. Before any role saw a row, a {c.split.kind} split{by} with seed {c.split.seed} sealed {c.rows_holdout:,} rows and"
            f" left {c.rows_train:,}{sampled}; metric ({metric_said(c.metric)}, {c.direction}d) and folds were fixed with it."
            + ("" if "method" in facts.sections else f" Validation is by {described(c).replace('; ', ', ')}.")
            + " Candidates hand over predictions, and the scores are computed outside the sandbox that fitted them."
        )
    if prep := facts.preparation:
        dropped = "; ".join(f"{one.column} ({one.reason})" for one in prep.dropped[:10])
        paper.say(
            f"Preparation. {prep.columns_used} of {prep.columns_in} columns take part and make {prep.features_out:,} features."
            + (f" Left out: {dropped}." if dropped else "")
        )
    own = {key for row in facts.leaderboard for key in OF_FAMILY.get(row.family, ())} | {"scikit-learn"}
    keys = [key for key in cited(facts) if key in own & MODELS]
    families = sorted({row.family for row in facts.leaderboard if row.family not in (*FLOORS, ENSEMBLE)})
    fitted = f"Candidates of these families were fitted: {', '.join(families)}. " if families else ""
    paper.say(f"Models. {fitted}Families and preparation build on published libraries and methods", keys)
    if "selection" in cited(facts):
        paper.say("The ensemble is a greedy selection over out-of-fold predictions", ["selection"])
    if "optuna" in cited(facts):
        paper.say("Hyperparameters were searched with Optuna", ["optuna"])
    tests = [key for key in ("corrected_t", "wilcoxon", "delong", "mcnemar", "holm", "nested") if key in cited(facts)]
    if facts.standings or facts.nested:
        paper.say("Comparisons are paired over folds and over rows and corrected for their number", tests)
    if "bootstrap" in cited(facts):
        paper.say("Intervals of scores come from the bootstrap", ["bootstrap"])
    _reproduce(paper, facts)


def _settings(paper: Manuscript, facts: RunFacts) -> None:
    """With what the model that was taken was fitted."""
    if (w := facts.winner) is None or w.params is None:
        return
    own = [("all", w.params)] if w.params else []
    rows = [
        (name, setting, compact(value) if isinstance(value, float) else str(value))
        for name, params in [*own, *((one.name, one.params) for one in w.members)]
        for setting, value in settings_of(params).items()
        if isinstance(value, (str, int, float)) or value is None
    ]
    prepared = f", on the preparation {w.preparation}" if w.preparation else ""
    paper.table(
        f"Settings of {w.name}{prepared}, as its kernel wrote them; what is not listed is its library's default.",
        (0.27, 0.35, 0.24),
        ("Model", "Setting", "Value"),
        rows,
    )


def _reproduce(paper: Manuscript, facts: RunFacts) -> None:
    _settings(paper, facts)
    paper.section("Reproducing the run", 2)
    paper.say(
        "The first command makes the run anew. The second does again what is on record, in a clean sandbox, and tells which scores agree."
        " The last ones execute its notebook, whose cells are those that really ran."
    )
    paper.command(run_command(facts))
    if left := said_by_no_option(facts):
        paper.say(left)
    paper.command(repeat_command(facts))
    paper.command(replay_commands(facts))
    if facts.package:
        paper.say("The packaged model predicts new rows with:")
        paper.command(predict_command(facts))
    if facts.manifest:
        paper.say("The data is the one with this SHA-256:")
        paper.command(facts.manifest.sha256)
    if facts.sandbox:
        paper.say(f"Code ran in the sandbox {facts.sandbox}; roles spoke through AutoGen", ["autogen"])
    paper.say(
        "Tables were held by pandas in arrays of NumPy, statistics are SciPy's where it has them, and the figures of this paper were "
        "drawn with Matplotlib",
        ["pandas", "numpy", "scipy", "matplotlib"],
    )
    paper.table("Versions of what the run was made with.", (0.35, 0.35), ("Name", "Version"), [(k, v) for k, v in facts.versions.items()])


def experiments(paper: Manuscript, facts: RunFacts, _: Mapping[str, bytes]) -> None:
    paper.section("Experiments")
    rows = [
        (visit.stage, str(visit.visit), f"{visit.seconds:.1f}", f"{visit.search_seconds:.1f}", visit.outcome or "not ended")
        for visit in facts.stages
    ]
    head = ("Stage", "Visit", "Seconds", "Search", "What ended it")
    paper.table(
        "Stages in the order in which they were entered. Search is the part that counts against the time allowed.",
        (0.14, 0, 0, 0, 0.5),
        head,
        rows,
    )
    tuned = [r for r in facts.rounds if r.families]
    paper.table(
        "Rounds of tuning: what the best candidate gained, its standard error over folds, and what it must exceed to be more than chance.",
        (0, 0.3, 0, 0, 0, 0.2),
        ("Round", "Tuned", "Gain", "Error", "To exceed", "Verdict"),
        [
            (
                str(r.round),
                ", ".join(r.families),
                compact(r.gain),
                compact(r.noise),
                compact(r.noise if r.margin is None else r.margin),
                "real" if r.real else "inside the noise",
            )
            for r in tuned
        ],
    )
    if facts.skipped:
        paper.say("Not trained:")
        paper.items([f"{one.name}: {one.reason}" for one in facts.skipped[:MOST_SKIPPED]])
    for one in facts.fallbacks:
        paper.say(f"In stage {one.stage} somebody else took over from the {one.role.replace('_', ' ')}: {one.reason}")
    for one in facts.degradations[:MOST_SKIPPED]:
        what = "" if one.reason.startswith(one.what) else f" ({one.what})"
        paper.say(f"In stage {one.stage} the run went on with less{what}: {one.reason}")
    _cost(paper, facts)


def _cost(paper: Manuscript, facts: RunFacts) -> None:
    """What the run took by role, and where language models spoke, what they cost by role and by stage."""
    paper.table(
        "Turns of each role, the tools that it called, and the seconds that all this took.",
        (0.25, 0, 0, 0),
        ("Role", "Turns", "Calls of tools", "Seconds"),
        [(r.role.replace("_", " "), f"{r.turns:,}", f"{r.calls:,}", f"{r.seconds:.1f}") for r in facts.by_role],
    )
    if not facts.models_spoke:
        return
    used = ("Calls", "Tokens in", "Tokens out", "Answering, s", "Dollars")

    def row(use: ModelUse | StageUse) -> tuple[str, ...]:
        counts = (f"{use.calls:,}", f"{use.input_tokens:,}", f"{use.output_tokens:,}", f"{use.seconds:.1f}")
        return (*counts, "not known" if use.usd is None else dollars(use.usd).removeprefix("$"))

    paper.table(
        "Calls of language models by role.",
        (0.17, 0.25, 0, 0, 0, 0, 0),
        ("Role", "Model", *used),
        [(use.role.replace("_", " "), use.model, *row(use)) for use in facts.models if not use.program],
    )
    stages = [(use.stage or "none", *row(use)) for use in facts.by_stage.values()]
    paper.table("Calls of models by stage.", (0.2, 0, 0, 0, 0, 0), ("Stage", *used), stages)


def closing(paper: Manuscript, facts: RunFacts, _: Mapping[str, bytes]) -> None:
    for slot in ("discussion", "limitations", "conclusion"):
        if slot == "discussion":
            paper_results.discussed(paper, facts)
        elif text := facts.sections.get(slot):
            paper.section(slot.capitalize())
            paper.say(text)
    paper.references()


PARTS: tuple[Part, ...] = (abstract, introduction, data, methods, experiments, paper_results.results, paper_results.ablation, closing)
