"""What can be checked of a run before anything is made."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from team.approval import SPEND
from team.cast import Clients
from team.casting import is_free, split_specs
from team.errors import PrerequisiteMissing, UsageError
from team.models import make_client
from team.publishing import check_release
from team.sandbox.choose import choose
from team.sandbox.graphics import gpus_for
from team.settings import Settings
from tools.sources import adapter_of
from tools.sources.spelling import spelt
from tools.spec import InputRefused
from tools.trackers.places import lacking


def preflight(settings: Settings, clients: Clients | None = None) -> None:
    """Check what can be checked before anything is made.

    Raises:
        UsageError: for an unknown metric, preparer, model or tool, or a URL that holds a password.
        PrerequisiteMissing: for a model, a tracker, a sandbox or a device that needs something first.
    """
    from tools.families.weights import at_hand
    from tools.metrics import find_metric

    if settings.metric is not None:
        try:
            find_metric(settings.metric)
        except ValueError as error:
            raise UsageError(f"{error} Change --metric.") from None
    try:
        adapter_of(spelt(settings.source))
    except InputRefused as error:
        raise UsageError(str(error)) from None
    _check_approval(settings)
    check_release(settings.release)
    if lacks := lacking(settings.trackers):
        raise PrerequisiteMissing(f"{lacks}.")
    for model in settings.all_models:
        for spec in split_specs(model):
            (clients or make_client)(spec)
            _check_price(settings, spec)
    kind = choose(settings.sandbox.kind, trusted_code=settings.playbook_alone).kind
    gpus_for(settings.fitted_on, settings.gpus, kind)
    _check_weights(settings)
    if kind != "docker":  # of what an image holds nothing is known here
        _check_preparers(settings.preparers)
        _check_families("families", settings.constraints.families)
        _check_families("weights", at_hand(settings.weights))


def _check_approval(settings: Settings) -> None:
    """Refuse policies for tools that there are not."""
    from tools.spec import registry

    known = [*sorted(registry()), SPEND]
    if strange := [name for name in settings.approval.tools if name not in known]:
        near = difflib.get_close_matches(strange[0], known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "`mlteam tools` lists them."
        raise UsageError(f"approval: there is no tool {strange[0]!r}. {hint}")


def _check_price(settings: Settings, spec: str) -> None:
    """Refuse a limit in dollars for a model whose price nobody said."""
    limits = {"--max-cost": settings.max_cost, "--warn-cost": settings.warn_cost, "--expected-cost": settings.expected_cost}
    option, limit = next(((option, limit) for option, limit in limits.items() if limit is not None), ("", None))
    if limit is not None and settings.price_of(spec) is None and not is_free(spec):
        instead = "--warn-tokens" if option == "--warn-cost" else "--max-tokens"
        raise UsageError(
            f"{option} {limit} needs the price of {spec}, which nobody said and the price list does not have. Write it into a file that"
            f" --config gives, in dollars per million tokens, such as prices: {{{spec!r}: {{input: 1.25, output: 10}}}}; or use {instead}."
        )


def _check_preparers(names: Sequence[str]) -> None:
    """Refuse what is no step, and preparers that no installed package brings, where the kernel has the libraries of this interpreter."""
    from tools.preparers import PREPARERS_BROUGHT
    from tools.steps import in_order, is_step

    try:
        in_order([name for name in names if is_step(name)])
    except ValueError as error:
        raise UsageError(f"--preparers: {error}") from None
    names = [name for name in names if not is_step(name)]
    there = sorted(PREPARERS_BROUGHT.brought())
    if strange := [name for name in names if name not in there]:
        near = difflib.get_close_matches(strange[0], there, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Preparers: {', '.join(there) or 'none'}."
        raise UsageError(f"no installed package brings a preparer {strange[0]!r}. {hint} Install it, or change --preparers.")


def _check_families(setting: str, names: Sequence[str]) -> None:
    """Refuse families that a setting asks for where none can be fitted for want of a library: it would be kept by doing nothing."""
    from tools.families import lacking

    reasons = [lacking(name) for name in names]
    if names and None not in reasons:
        raise PrerequisiteMissing(f"{setting}={','.join(names)!r}: {'; '.join(filter(None, reasons))}. Install it, or change --{setting}.")


def _check_weights(settings: Settings) -> None:
    from tools.families.weights import FOUNDATION, at_hand, expected, patterns

    if settings.weights is not None and not settings.weights.is_dir():
        raise UsageError(f"weights={str(settings.weights)!r} is no folder. Name one that holds checkpoint files with --weights DIR.")
    if settings.weights is not None and not at_hand(settings.weights):
        raise UsageError(
            f"weights={str(settings.weights)!r} holds no checkpoint; expected files named {patterns()}."
            " Put one there, or name another folder with --weights DIR."
        )
    for name in set(settings.constraints.families) & set(FOUNDATION) - set(at_hand(settings.weights)):
        raise PrerequisiteMissing(f"families={name!r}: {expected(name, None, settings.weights)}. Put the file there, or leave {name} out.")
