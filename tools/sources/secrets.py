"""Passwords and tokens that fetching needs: looked up by name, used, and kept out of everything that is written.

A name is looked for in the environment, then in the file that MLTEAM_SECRETS names (or `~/.config/mlteam/secrets`: lines of NAME=VALUE, for
nobody's eyes but the owner's), then in the keyring of the operating system under the service `mlteam` (`keyring set mlteam NAME`).
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from urllib.parse import quote

from tools.files import read_regular
from tools.sources.spelling import PLACE
from tools.spec import InputRefused

VARIABLE = "MLTEAM_SECRETS"
SERVICE = "mlteam"
MOST_BYTES = 1 << 20
SHORTEST_HIDDEN = 4
"""Shorter values are in every text by chance."""

_used: set[str] = set()
"""Values that this process has looked up, as they are and as URLs and JSON write them."""


class Secrets:
    def get(self, name: str) -> str | None:
        """The secret of a name, or None. From here on `hidden` hides it.

        Raises:
            InputRefused: when the file of secrets can be read by others, or not at all.
        """
        value = os.environ.get(name) or _in_file(name) or _in_keyring(name)
        if value:
            conceal(value)
        return value or None

    def filled(self, text: str, *, quoted: bool = True) -> str:
        """`text` with every `${NAME}` in it replaced.

        Args:
            quoted: whether values are written as URLs need it.

        Raises:
            InputRefused: naming the first that nobody knows.
        """

        def value(name: str) -> str:
            found = self.get(name)
            if found is None:
                raise InputRefused(
                    f"SOURCE needs the secret {name!r}, and there is none. Set the variable {name}, add a line {name}=... to the file that"
                    f" {VARIABLE} names, or type: keyring set {SERVICE} {name}"
                )
            return quote(found, safe="") if quoted else found

        return PLACE.sub(lambda place: value(place[1]), text)


def conceal(value: str) -> None:
    """Have `hidden` hide a value from here on."""
    if len(value) >= SHORTEST_HIDDEN:
        _used.update({value, quote(value, safe=""), json.dumps(value)[1:-1]})


def hidden(text: str) -> str:
    """`text` without the secrets that were looked up so far."""
    for value in sorted(_used, key=len, reverse=True):
        text = text.replace(value, "[redacted]")
    return text


def _in_file(name: str) -> str | None:
    named = os.environ.get(VARIABLE)
    path = Path(named).expanduser() if named else Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "mlteam" / "secrets"
    try:
        found = path.lstat()
    except OSError as error:
        if named:
            raise InputRefused(f"{VARIABLE}={named!r} cannot be read: {error.strerror}. Name an existing file, or unset it.") from None
        return None
    if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid not in (os.geteuid(), 0):
        raise InputRefused(f"the file of secrets {str(path)!r} is open to others; expected mode 0600. Type: chmod 600 {str(path)!r}")
    try:
        lines = read_regular(path, MOST_BYTES).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputRefused(f"the file of secrets {str(path)!r} cannot be read: {error}. Write one NAME=VALUE a line.") from None
    pairs = (line.partition("=") for line in lines if not line.lstrip().startswith("#"))
    return next((value.strip() for key, equals, value in pairs if equals and key.strip() == name), None)


def _in_keyring(name: str) -> str | None:
    try:
        import keyring
    except ImportError:
        return None
    try:
        return keyring.get_password(SERVICE, name)
    except Exception:  # no keyring, a locked one, a bus that is not there: the backends raise whatever they like
        return None
