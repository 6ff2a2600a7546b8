"""What a step raises where it cannot be used. Apart from the steps, which import scikit-learn."""

from __future__ import annotations


class StepError(ValueError):
    """A step cannot be used on these rows; the message says why and what would help."""
