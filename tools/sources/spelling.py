"""How SOURCE is spelt: an address, then options behind a `#`, such as `https://host/rows.csv#sha256=...`.

A spelling is written into settings, events and reports, so it holds no secret. Where an address needs one, `${NAME}` stands in its
place and is looked up when the data is fetched: `postgresql://ann:${SHOP_PASSWORD}@host/shop#table=orders`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from tools.spec import InputRefused

READING = ("sheet", "key", "table", "gather", "header", "encoding", "delimiter", "decimal")
"""Say what to read inside of a source, whatever brings it."""
OPTIONS = ("sha256", "md5", "query", "config", "revision", "bearer", *READING)
"""`query` takes everything behind it."""
PLACE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_.-]*)\}")
_SECRET_PARAMETER = re.compile(
    r"(?:^|[-_])(?:key|apikey|token|sig|signature|secret|password|passwd|pwd|auth|credentials?|awsaccesskeyid)$", re.IGNORECASE
)
_DIGESTS = {"md5": 32, "sha256": 64}


@dataclass(frozen=True)
class Spelling:
    """SOURCE taken apart."""

    text: str
    """As it was given."""
    address: str
    """What stands before the options."""
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def scheme(self) -> str:
        """`https` of `https://...`, `kaggle` of `kaggle:...`, in small letters; empty for a path."""
        found = re.match(r"([A-Za-z][A-Za-z0-9+.]+):", self.address)
        return found[1].lower() if found else ""

    @property
    def rest(self) -> str:
        """What follows the scheme and its colon."""
        return self.address.partition(":")[2]

    @property
    def title(self) -> str:
        """A word for the name of a run."""
        path = PLACE.sub("", self.rest or self.address).partition("?")[0].rstrip("/")
        return path.rpartition("/")[2].partition(".")[0]

    def refuse_options(self, *known: str) -> None:
        """Refuse options that mean nothing to this source.

        Raises:
            InputRefused: naming the first of them.
        """
        if strange := [name for name in self.options if name not in (*known, *READING)]:
            expected = f"it takes {', '.join(f'#{name}=' for name in known)}" if known else "it takes none"
            raise InputRefused(f"source {self.text!r}: option {strange[0]!r} means nothing to it; {expected}.")


def spelt(text: str) -> Spelling:
    """Take SOURCE apart. What stands behind a `#` and is no option belongs to the address: files may be called anything.

    Raises:
        InputRefused: for a digest that is none, or a secret that stands in it.
    """
    if not text.strip():
        raise InputRefused("SOURCE is empty; expected a file, a folder, a pattern, a URL, or a spelling such as openml:ID (docs/data.md).")
    spelling = Spelling(text, text)
    for mark in re.finditer("#", text):  # the first behind which there are options and nothing else
        if options := _options(text[mark.end() :]):
            spelling = Spelling(text, text[: mark.start()], options)
            break
    for name, length in _DIGESTS.items():
        digest = spelling.options.get(name)
        if digest is not None and not re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", digest):
            raise InputRefused(f"#{name}={digest!r} is no {name.upper()} sum; expected {length} hexadecimal digits.")
    _refuse_secrets(spelling)
    return spelling


def _options(behind: str) -> dict[str, str] | None:
    found: dict[str, str] = {}
    while behind:
        name, equals, rest = behind.partition("=")
        if not equals or name not in OPTIONS or name in found:
            return None
        value, _, behind = (rest, "", "") if name == "query" else rest.partition("&")
        found[name] = value if name == "query" else unquote(value)
    return found


def _refuse_secrets(spelling: Spelling) -> None:
    """Refuse a password or a token: it would stand in the settings, the report and the briefing of every role."""
    if "://" not in spelling.address:
        return
    how = "Write ${NAME} in its place, in single quotes, and keep the secret under NAME in the environment, the keyring or a file."
    try:
        address = urlsplit(spelling.address)
    except ValueError as error:
        raise InputRefused(
            f"source {PLACE.sub('…', spelling.address.partition('@')[2] or spelling.address)!r} is no URL: {error}."
        ) from None
    user, _, password = address.netloc.rpartition("@")[0].partition(":")
    token_as_user = user and not password and spelling.scheme in ("http", "https")
    if (password and not PLACE.fullmatch(password)) or (token_as_user and not PLACE.fullmatch(user)):
        raise InputRefused(f"the address of the source at {address.hostname!r} holds a password. {how}")
    for pair in address.query.split("&"):
        name, _, value = pair.partition("=")
        if _SECRET_PARAMETER.search(unquote(name)) and value and not PLACE.search(value):
            raise InputRefused(f"the source at {address.hostname!r} holds a secret in its parameter {unquote(name)!r}. {how}")
