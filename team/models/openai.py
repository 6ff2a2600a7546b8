"""OpenAI's Chat Completions, and every server that speaks it, through AutoGen's client."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from team.errors import PrerequisiteMissing

if TYPE_CHECKING:
    from autogen_core.models import ChatCompletionClient

REQUEST_TIMEOUT_S = 120.0
"""Deadline of one request; the SDK's own is ten minutes."""
RETRIES = 3


def make_openai_client(model: str, base_url: str | None) -> ChatCompletionClient:
    """A client for `model` at OpenAI, at `base_url`, or at OPENAI_BASE_URL.

    Raises:
        PrerequisiteMissing: when the package or the key is missing, with the command that provides it.
    """
    try:
        from autogen_ext.models.openai import OpenAIChatCompletionClient
    except ImportError:
        raise PrerequisiteMissing(f"model 'openai:{model}' needs the openai package. Type: make install") from None
    base_url = base_url or os.environ.get("OPENAI_BASE_URL")
    key = os.environ.get("OPENAI_API_KEY")
    if key is None:
        if base_url is None:
            raise PrerequisiteMissing(
                f"model 'openai:{model}' needs a key. Type: export OPENAI_API_KEY=..., or name a local server: openai:{model}@http://HOST/v1"
            )
        key = "none"  # local servers ask for no key, but the SDK wants one
    where = {"base_url": base_url} if base_url else {}
    client: ChatCompletionClient = OpenAIChatCompletionClient(
        model=model,
        api_key=key,
        timeout=REQUEST_TIMEOUT_S,
        max_retries=RETRIES,
        # Given always: AutoGen knows no model that is newer than itself.
        model_info={
            "vision": False,
            "function_calling": True,
            "json_output": True,
            "family": "unknown",
            "structured_output": True,
            "multiple_system_messages": False,
        },
        **where,
    )
    return client
