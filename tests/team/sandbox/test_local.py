"""`unsafe-local`: the contract without isolation."""

from __future__ import annotations

import pytest

from tests.contracts.sandbox import SandboxContract


class TestLocal(SandboxContract):
    """Differs in nothing that the contract asks for; it simply keeps nothing out."""

    name = "unsafe-local"

    @pytest.fixture(scope="module")
    @classmethod
    def kind(cls) -> str:
        return "unsafe-local"
