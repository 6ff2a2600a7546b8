"""Where a model is asked: `PROVIDER:MODEL[@URL]` taken apart, and the key that belongs there."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from team.errors import PrerequisiteMissing, UsageError

DEFAULT_URLS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
KEYS = {"openai": ("OPENAI_API_KEY",), "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")}
"""Variables that hold the key of a provider, the first that is set."""
HOST_KEYS = {"openrouter.ai": "OPENROUTER_API_KEY", "azure.com": "AZURE_OPENAI_API_KEY"}
"""Variables that go before those of the provider, at these hosts and below them."""
NO_KEY = "none"
"""Servers of one's own ask for no key, but the SDKs want one."""

_SPEC = re.compile(r"(?P<provider>[a-z]+):(?P<model>[^@\s]+(?:@\d+)?)(?:@(?P<url>\S+))?")


@dataclass(frozen=True)
class Endpoint:
    """One model at one address."""

    spec: str
    provider: str
    model: str
    url: str
    variable: str
    """Environment variable of the key."""
    key: str = field(repr=False)
    query: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """As messages name it."""
        return f"{self.provider}:{self.model} at {self.url}"

    @property
    def near(self) -> bool:
        """Whether it is on this machine or in its network, where a model may run on a processor and its tokens cost nothing."""
        return is_near(self.url)

    def clean(self, text: str) -> str:
        """A server's words in one short line, without the key, which servers like to repeat."""
        if len(self.key) >= 8:
            text = text.replace(self.key, "[redacted]")
        text = re.sub(r"\b(sk|key)-[A-Za-z0-9_*-]{6,}", "[redacted]", text)
        text = "".join(c if c.isprintable() else " " for c in text)
        text = " ".join(text.split())
        return text if len(text) <= 160 else f"{text[:160]}…"


def is_near(url: str) -> bool:
    """Whether an address is on this machine or in its network."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_private
    except ValueError:  # a name; without a dot or below .local it is none of the internet
        return "." not in host or host.endswith((".local", ".internal", ".localhost"))


def url_of(provider: str, given: str | None) -> str:
    """The address of a provider's endpoint: the one that was given, that of the SDK's own variable, or the provider's."""
    return given or os.environ.get(f"{provider.upper()}_BASE_URL") or DEFAULT_URLS[provider]


def parts_of(spec: str) -> tuple[str, str, str | None]:
    """Provider, model and address of `PROVIDER:MODEL[@URL]`.

    Raises:
        UsageError: when it is spelt in another way, or the address holds what would be written down with it.
    """
    found = _SPEC.fullmatch(spec)
    if found is None or found["provider"] not in DEFAULT_URLS:
        raise UsageError(
            f"model {spec.partition('@')[0]!r} is unknown; expected playbook, openai:MODEL[@URL], anthropic:MODEL[@URL] or replay:RUN."
        )
    url = found["url"]
    if url is not None:
        _check_url(found["provider"], found["model"], url)
    return found["provider"], found["model"], url


def endpoint_of(spec: str) -> Endpoint:
    """The endpoint that `spec` names, with its key.

    Raises:
        UsageError: when the spelling is wrong.
        PrerequisiteMissing: when the provider's package is not installed, or its key is not set.
    """
    provider, model, given = parts_of(spec)
    if find_spec(provider) is None:
        raise PrerequisiteMissing(f"model {provider}:{model} needs the {provider} package. Type: pip install 'mlteam[{provider}]'")
    variable_of_url = f"{provider.upper()}_BASE_URL"
    url = given or os.environ.get(variable_of_url)
    if url and not given:
        _check_url(provider, model, url, variable_of_url)
    variables = [*_host_keys(url or ""), *KEYS[provider]]
    variable = next((name for name in variables if os.environ.get(name)), variables[0])
    key = os.environ.get(variable)
    if not key and not url:
        raise PrerequisiteMissing(
            f"model {provider}:{model} needs a key. Type: export {variable}=..., or name a server of your own: {provider}:{model}@http://HOST"
            + ("/v1" if provider == "openai" else "")
        )
    parsed = urlsplit(url or DEFAULT_URLS[provider])
    plain = parsed._replace(query="").geturl().rstrip("/")
    return Endpoint(spec, provider, model, plain, variable, key or NO_KEY, dict(parse_qsl(parsed.query)))


def _check_url(provider: str, model: str, url: str, variable: str | None = None) -> None:
    named = variable or f"the address of {provider}:{model}"
    parsed = urlsplit(url)
    if parsed.scheme not in ("http", "https") or not parsed.hostname:
        # Its value is left out: what stands there instead of an address may be a key.
        raise UsageError(f"{named} is no address; expected {provider}:{model}@http://HOST/... or https://HOST/...")
    extra = [name for name, _ in parse_qsl(parsed.query) if name != "api-version"]
    if "@" in parsed.netloc or extra or parsed.fragment:
        # It would stand in the settings, the log and the report.
        raise UsageError(f"{named} holds a user name, password or query. Keys belong into {KEYS[provider][0]}; give the bare address.")


def _host_keys(url: str) -> list[str]:
    host = urlsplit(url).hostname or ""
    return [name for suffix, name in HOST_KEYS.items() if host == suffix or host.endswith(f".{suffix}")]
