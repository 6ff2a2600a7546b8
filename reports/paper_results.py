"""Results, ablation and discussion of the white paper."""

from __future__ import annotations

from collections.abc import Mapping

from reports.facts import RunFacts
from reports.figures import compact, metric_said, p_value, row_format, score_format, title_in
from reports.manuscript import Manuscript
from tools.coverage import Coverage

MOST_CANDIDATES = 25
MOST_ATTEMPTS = 20
MOST_COLUMNS = 10
MOST_GROUPS, MOST_DIFFERENCES = 10, 3


def results(paper: Manuscript, facts: RunFacts, figures: Mapping[str, bytes]) -> None:
    paper.section("Results")
    if text := facts.sections.get("result"):
        paper.say(text)
    _metrics(paper, facts)
    best = facts.leaderboard[0].score if facts.leaderboard else 1.0
    figure = score_format(best)
    head = ("Candidate", "Family", "Stage", "Score", "Error", "Fit, s")
    rows = [
        (c.name, c.family, c.stage, figure(c.score), figure(c.std_error), f"{c.seconds:.1f}") for c in facts.leaderboard[:MOST_CANDIDATES]
    ]
    paper.table("Candidates by their out-of-fold score, with one standard error over folds.", (0.26, 0.18, 0.13, 0, 0, 0), head, rows)
    if "candidates.pdf" in figures:
        line = " The line is the score on the sealed rows, the band its interval." if facts.holdout else ""
        paper.figure(f"Out-of-fold scores: squares with one standard error, dots for folds.{line}", "candidates.pdf")
    _comparisons(paper, facts)
    if n := facts.nested:
        paper.say(
            f"Nested cross-validation over {n.folds} folds: the choice among {', '.join(n.families)}, made again inside each,"
            f" scores {figure(n.nested)} with a standard error of {figure(n.std_error)}; plain cross-validation of the same search says"
            f" {figure(n.flat)}."
        )
    if (o := facts.optimism) and o.candidate:
        left_out = (
            " Trials of tuning that were not kept have no part in that, so it corrects rather too little." if facts.search.trials else ""
        )
        paper.say(
            f"{o.candidate} was picked from {o.candidates} candidates on the same folds. Corrected for that pick, {figure(o.score)} becomes"
            f" {figure(o.corrected)}.{left_out}"
        )
    _structure(paper, facts)
    if "importance.pdf" in figures and facts.evaluation:
        paper.figure(f"What {facts.evaluation.candidate} relies on.", "importance.pdf")
    if "curve.pdf" in figures and (curve := facts.curve):
        paper.figure(f"Learning curve of {curve.fitted} over {curve.folds} folds, with standard errors.", "curve.pdf")


def _metrics(paper: Manuscript, facts: RunFacts) -> None:
    """Metrics of out-of-fold predictions, beside those of the sealed rows where both are of one candidate."""
    h, e = facts.holdout, facts.evaluation
    sealed = {**h.others, h.metric: h.score} if h else {}
    reach = {**h.other_ends, h.metric: (h.low, h.high)} if h else {}
    looks = "" if h is None else "once" if h.looks == 1 else f"{h.looks} times"
    if h:
        paper.say(
            f"On {h.n:,} sealed rows, which were looked at {looks}, {h.candidate} has {metric_said(h.metric)} {compact(h.score)}, with a"
            f" {100 * h.level:g} % interval of {compact(h.low)} to {compact(h.high)}."
        )
    both = h is not None and e is not None and h.candidate == e.candidate
    if e and e.metrics:
        rows = []
        for m in e.metrics:
            last = sealed[m.metric] if both and m.metric in sealed else None
            ends = reach.get(m.metric, ()) if both else ()
            figure = row_format(m.score, [m.low, m.high, last or 0.0, *ends])
            beside = "–" if last is None else figure(last) + (f" ({figure(ends[0])} – {figure(ends[1])})" if ends else "")
            rows.append((title_in(m.metric, facts.contract), figure(m.score), f"{figure(m.low)} – {figure(m.high)}", beside))
        told = f"{e.candidate} by its out-of-fold predictions on the training rows, with bootstrap intervals"
        told += ", and on the sealed rows." if both else "."
        paper.table(told, (0.4, 0, 0, 0), ("Metric", "Out of fold", "Interval", "Sealed rows"), rows)
    if h and not (both and e and e.metrics):
        rest = [
            (title_in(name, facts.contract), compact(value), " – ".join(map(compact, reach.get(name, ()))))
            for name, value in sealed.items()
        ]
        paper.table(f"Metrics of {h.candidate} on the sealed rows.", (0.45, 0, 0), ("Metric", "Score", "Interval"), rest)
    if h:
        paper.table(
            "What intervals around predicted values hold on the sealed rows.",
            (0, 0, 0, 0),
            ("Meant to hold", "Did hold", "Interval of that", "Mean width"),
            [
                (f"{100 * i.level:g} %", f"{100 * i.share:.1f} %", f"{100 * i.low:.1f} – {100 * i.high:.1f} %", _width(i))
                for i in h.intervals
            ],
        )


def _width(held: Coverage) -> str:
    """The mean width of intervals, with its own interval where it has one."""
    if held.width_low is None or held.width_high is None or held.width_low == held.width_high:
        return compact(held.width)
    return f"{compact(held.width)} ({compact(held.width_low)} – {compact(held.width_high)})"


def _structure(paper: Manuscript, facts: RunFacts) -> None:
    """What groups or anomalies are, and whether other rows or chance would have given them."""
    if (s := facts.structure) is None:
        return
    pairs = "one pair of halves" if s.pairs == 1 else f"{s.pairs} pairs of halves"
    if s.predicts == "groups":
        if s.score is not None and s.null_mean is not None and s.null_highest is not None:
            paper.say(
                f"On the training rows the silhouette of {s.candidate} is {compact(s.score)}; on {s.nulls} tables whose columns were"
                f" shuffled each for itself it is {compact(s.null_mean)} in the mean and {compact(s.null_highest)} at most."
            )
        measure = "an adjusted Rand index"
    else:
        measure = f"a Jaccard index of the rows with the highest scores, for which chance gives {compact(s.chance)},"
    paper.say(
        f"Fits on two halves of the rows agree, over {pairs}, to {measure} of {compact(s.stability)} with a standard deviation of"
        f" {compact(s.stability_std)}."
    )
    rows = [
        (group.name, f"{group.rows:,}", d.column, d.here, d.elsewhere)
        for group in s.groups[:MOST_GROUPS]
        for d in group.differs[:MOST_DIFFERENCES]
    ]
    paper.table(
        f"Training rows by {s.candidate}, and the columns in which they differ most from all others: means, or a category with its share.",
        (0.2, 0, 0.25, 0.17, 0.17),
        ("Rows", "Number", "Column", "Here", "Elsewhere"),
        rows,
    )


def _comparisons(paper: Manuscript, facts: RunFacts) -> None:
    if (s := facts.standings) is None:
        return
    figure = score_format(facts.leaderboard[0].score if facts.leaderboard else 1.0)
    named = sorted({test.test for rival in s.rivals for test in rival.tests})
    told = {(r.name, t.test): p_value(t.p_corrected) or "–" for r in s.rivals for t in r.tests}
    paper.table(
        f"{s.leader} beside the best of the other families: p-values by {s.correction.capitalize()}'s correction over {s.pairs} pairs. A"
        f" candidate is told apart at {100 * s.level:g} % by the test over folds.",
        (0.24, 0, *(0 for _ in named), 0),
        ("Candidate", "Score", *(name.replace("_", " ") for name in named), "Told apart"),
        [(r.name, figure(r.score), *(told.get((r.name, n), "–") for n in named), "yes" if r.apart else "no") for r in s.rivals],
    )
    paper.items([f"Left out of the tests: {line}" for line in s.untested])


STEPS = (("baseline", "baselines alone"), ("train", "and the families, untuned"), ("optimise", "and tuning"), ("select", "and blending"))


def _built_up(paper: Manuscript, facts: RunFacts) -> None:
    """What the run would have had without its later stages: the best candidate of those that each stage began with and added."""
    rows, far = [], 0
    figure = score_format(facts.leaderboard[0].score if facts.leaderboard else 1.0)
    for place, (stage, told) in enumerate(STEPS):
        if not any(c.stage == stage for c in facts.leaderboard):
            continue
        reached = {name for name, _ in STEPS[: place + 1]}
        best = next(c for c in facts.leaderboard if c.stage in reached)
        rows.append((told, best.name, figure(best.score), figure(best.std_error)))
        far += 1
    if far > 1:
        caption = "What the run has without its later stages: the best candidate of all that stood after each, by its out-of-fold score."
        paper.table(caption, (0.3, 0.32, 0, 0), ("With", "Best candidate", "Score", "Error"), rows)


def _steps(paper: Manuscript, facts: RunFacts) -> None:
    """Columns that were made or changed, each with and without."""
    if (tried := facts.steps_tried) is None:
        return
    rows = [
        (one.step, compact(one.gain), compact(one.std_error), compact(one.margin), "kept" if one.kept else "left out")
        for one in tried.tried
    ]
    caption = (
        f"Steps of the preparation, each tried with {tried.family} on the same folds with it and without: the gain in"
        f" {metric_said(tried.metric)}, its standard error, and what it must exceed."
    )
    paper.table(caption, (0.34, 0, 0, 0, 0.16), ("Step", "Gain", "Error", "To exceed", "Verdict"), rows)


def _columns(paper: Manuscript, facts: RunFacts) -> None:
    """What is lost without what a column says: shuffled, and fitted anew without it as far as there was time."""
    ex, ev = facts.explanation, facts.evaluation
    again = ex is not None and bool(ex.without)
    limits = (
        " Nothing is fitted anew for that, so this is what the model as it stands owes to a column."
        if again
        else " Nothing was fitted anew without them, so this is what the model as it stands owes to a column; where columns go together, a"
        " fit without one of them would lose less."
    )
    if ex and (told := [one for one in ex.reliance if one.importance is not None]):
        seen = f"{ex.rows:,} rows {'that the fit had not seen' if ex.unseen else 'of the fit'}"
        figure = score_format(max(abs(one.importance or 0.0) for one in told))
        rows = [
            (one.column, figure(one.importance or 0.0), "–" if one.std_error is None else figure(one.std_error))
            for one in told[:MOST_COLUMNS]
        ]
        paper.say(
            f"What {ex.candidate} loses in {_metric_of(facts)} on {seen} when what a column says is taken away, by shuffling it.{limits}"
        )
        paper.table("Columns shuffled one by one, with the standard error over shuffles.", (0.5, 0, 0), ("Column", "Loss", "Error"), rows)
        _fitted_without(paper, facts)
    elif ev and ev.importance and "shuffled" in ev.importance_kind and facts.contract:
        figure = score_format(max(abs(one.importance) for one in ev.importance))
        paper.say(
            f"What {ev.candidate} loses in {_metric_of(facts)} on rows of its own fit when what a column says is taken away, by shuffling"
            f" it once.{limits}"
        )
        taken = [(one.column, figure(one.importance)) for one in ev.importance[:MOST_COLUMNS]]
        paper.table("Columns shuffled one by one.", (0.5, 0), ("Column", "Loss"), taken)


def _fitted_without(paper: Manuscript, facts: RunFacts) -> None:
    ex = facts.explanation
    if ex is None or not ex.without:
        return
    member = "" if ex.ablated == ex.candidate else f", the heaviest member of {ex.candidate},"
    paper.say(
        f"What {ex.ablated}{member} loses in {_metric_of(facts)} when it is fitted again in the same configuration on the same"
        f" {ex.without[0].folds} folds without a column, and without all that rise or fall with it. A column that others can stand in for"
        " is missed only together with them. The intervals allow for what the training rows of folds have in common",
        cite=("corrected_t",),
    )
    figure = score_format(max(abs(one.loss) for one in ex.without))
    rows = [(one.named, figure(one.loss), f"{figure(one.low)} – {figure(one.high)}") for one in ex.without]
    caption = "Fits without columns: the loss in the mean over folds with its 95 % interval."
    paper.table(caption, (0.5, 0, 0), ("Without", "Loss", "Interval"), rows)


def _metric_of(facts: RunFacts) -> str:
    asked = facts.explanation.metric if facts.explanation else ""
    return metric_said(asked or (facts.contract.metric if facts.contract else "score"))


def ablation(paper: Manuscript, facts: RunFacts, _: Mapping[str, bytes]) -> None:
    best: dict[str, tuple[str, float, float]] = {}
    for c in facts.leaderboard:
        best.setdefault(c.family, (c.name, c.score, c.std_error))
    if not facts.leaderboard:
        return
    paper.section("Ablation")
    if len(best) < 2 and not facts.attempts and not facts.steps_tried:
        alone = "One candidate was scored" if len(facts.leaderboard) == 1 else "Candidates of one family were scored"
        paper.say(f"{alone}, so there is no part of the search to be left out.")
        _columns(paper, facts)
        return
    _built_up(paper, facts)
    _steps(paper, facts)
    _columns(paper, facts)
    figure = score_format(facts.leaderboard[0].score if facts.leaderboard else 1.0)
    if len(best) < len(facts.leaderboard):
        paper.say("What each family is worth alone: the best candidate of every family, under the same folds.")
        rows = [(family, name, figure(score), figure(error)) for family, (name, score, error) in best.items()]
        paper.table("The best candidate of every family.", (0.25, 0.35, 0, 0), ("Family", "Candidate", "Score", "Error"), rows)
    else:
        paper.say("Every family has one candidate, so the table of candidates tells what each is worth alone.")
    if e := facts.evaluation:
        members = sorted(e.members, key=lambda m: -m.weight)
        paper.table(f"Members of {e.candidate}.", (0.35, 0), ("Member", "Weight"), [(m.name, f"{m.weight:.2f}") for m in members])
    paper.table(
        "Models that roles wrote as code, those that failed included.",
        (0.2, 0.12, 0.35, 0, 0),
        ("Model", "Move", "Idea", "Score", "Gain"),
        [
            (a.name, a.move, a.idea, "–" if a.score is None else compact(a.score), "–" if a.gain is None else compact(a.gain))
            for a in facts.attempts[:MOST_ATTEMPTS]
        ],
    )


def discussed(paper: Manuscript, facts: RunFacts) -> None:
    text, found = facts.sections.get("discussion"), facts.slices
    if not text and not (found and found.slices):
        return
    paper.section("Discussion")
    if text:
        paper.say(text)
    if found and found.slices:
        paper.table(
            f"Where {found.candidate} errs more than elsewhere: mean {found.loss} of {found.rows_tested:,} out-of-fold predictions that had"
            " no part in finding these slices; p by Welch's test with Holm's correction.",
            (0.42, 0, 0, 0, 0),
            ("Slice", "Rows", "Inside", "Elsewhere", "p"),
            [
                (" and ".join(s.conditions), f"{s.rows:,}", compact(s.loss), compact(s.loss_elsewhere), p_value(s.p_value))
                for s in found.slices
            ],
        )
