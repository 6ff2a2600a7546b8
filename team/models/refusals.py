"""What went wrong with a request, as one of our errors: which, whether to try again, and what a person can do."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Mapping
from typing import Any

from team.errors import (
    ContextOverflow,
    KeyRefused,
    ModelError,
    ModelOverloaded,
    ModelUnknown,
    ModelUnreachable,
    RequestRefused,
    UnusableReply,
)
from team.models.endpoint import Endpoint
from team.models.reply import TokenUsage

_OVERFLOW = ("context_length_exceeded", "maximum context length", "prompt is too long", "context window", "context size")
"""How endpoints say that a request is too long; OpenAI, Anthropic, vLLM and llama.cpp each have words of their own."""
_NO_CREDIT = ("insufficient_quota", "billing", "credit balance", "payment")
_STATUS = {
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "api_error": 500,
    "server_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Errors that come in the middle of a stream, after a status of 200, by their type."""
_NOTHING = TokenUsage(0, 0)
"""What a request costs that was refused before the model read it."""


def explain(error: Exception, endpoint: Endpoint) -> ModelError:
    """Our error for one that an SDK, its transport or a parser raised."""
    if isinstance(error, ModelError):
        return error
    if (response := getattr(error, "response", None)) is not None and getattr(response, "status_code", 0) >= 400:
        return of_status(response.status_code, getattr(error, "body", None), response.headers, endpoint)
    body = getattr(error, "body", None)
    if body is not None:
        return of_body(body, endpoint)
    if isinstance(error, (ValueError, TypeError, LookupError, AttributeError)):  # a body that is no JSON, or JSON of another kind
        return UnusableReply(f"{endpoint} answered in another form than expected: {endpoint.clean(str(error))}", transient=True)
    kind = type(error).__name__
    if "Timeout" in kind:
        return ModelUnreachable(f"{endpoint} did not answer in time.")
    cause: BaseException = error
    while (deeper := cause.__cause__ or cause.__context__) is not None:  # the SDK's own words say no more than that it failed
        cause = deeper
    words = endpoint.clean(str(cause) or type(cause).__name__)
    return ModelUnreachable(
        f"{endpoint} cannot be reached, or broke off ({words}). Check that the server runs, the address and the network."
    )


def of_body(body: object, endpoint: Endpoint) -> ModelError:
    """Our error for one that came with a status of 200, in a stream or instead of a reply."""
    error = _inner(body)
    code = error.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else _STATUS.get(str(error.get("type")), 500)
    return of_status(status, body, {}, endpoint)


def of_status(status: int, body: object, headers: Mapping[str, str], endpoint: Endpoint) -> ModelError:
    """Our error for an answer with an HTTP status of 400 or above.

    Args:
        body: the parsed answer, or its text.
    """
    error = _inner(body)
    said = endpoint.clean(str(error.get("message") or "")) or "no reason given"
    told = f"{status}: {said}"
    known = json.dumps(body, default=str).lower() if body is not None else ""
    again = retry_after(headers)
    if status == 413 or "request too large" in known or (status != 429 and any(words in known for words in _OVERFLOW)):
        return ContextOverflow(f"the request is too long for {endpoint} ({told}). Take a model that reads more.", spent=_NOTHING)
    if any(words in known for words in _NO_CREDIT) and status in (400, 402, 403, 429):
        return ModelOverloaded(f"the account at {endpoint} has no credit or quota left ({told}).", transient=False, spent=_NOTHING)
    if status in (401, 403):
        what = "does not take the key" if status == 401 else "does not let the key use this model"
        return KeyRefused(f"{endpoint} {what} ({told}). Put one that is valid there into {endpoint.variable}.", spent=_NOTHING)
    if status == 404:
        return ModelUnknown(f"{endpoint} has no such model or address ({told}). Check both in --model.", spent=_NOTHING)
    if status in (429, 529, 503):
        why = "too many requests" if status == 429 else "overloaded"
        return ModelOverloaded(f"{endpoint} is busy: {why} ({told}). Wait, or name another model.", retry_after_s=again, spent=_NOTHING)
    if status in (408, 409, 425) or status >= 500:
        return ModelUnreachable(f"{endpoint} failed ({told}). It may work again later.", retry_after_s=again, spent=_NOTHING)
    return RequestRefused(f"{endpoint} does not take the request ({told}). Check that the model can call tools.", spent=_NOTHING)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks to wait for (RFC 9110, 10.2.3: a number or a date; milliseconds by OpenAI's own header)."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            return max(0.0, float(value) * unit)
        except ValueError:
            pass
        try:
            return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
        except ValueError:
            continue
    return None


def _inner(body: object) -> dict[str, Any]:
    """What stands below `error`, or the answer itself where it is not wrapped."""
    if not isinstance(body, dict):
        return {}
    inner = body.get("error")
    return inner if isinstance(inner, dict) else {"message": inner, **body} if isinstance(inner, str) else body
