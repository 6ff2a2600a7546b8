"""What every model client must do, over either wire protocol, streamed or not. A suite subclasses these.

class TestOpenAI(ModelClientContract):
    wire = "openai"

Every test ends in a correct result or in a typed error that says what to do. None waits: time passes in a clock of the test's own.
"""

from __future__ import annotations

from tests.contracts.model_ending import CancellationContract, StallContract
from tests.contracts.model_faults import FaultsContract
from tests.contracts.model_replies import RepliesContract
from tests.contracts.model_scene import KEY, SOON_S


class ModelClientContract(RepliesContract, FaultsContract):
    """Replies, refusals and faults."""


__all__ = ["KEY", "SOON_S", "CancellationContract", "ModelClientContract", "StallContract"]
