"""Where secrets come from, and what is refused before one stands anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.sources.secrets import Secrets, hidden
from tools.sources.spelling import spelt
from tools.spec import InputRefused


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("postgresql://ann:word12@host/db", "holds a password"),
        ("https://ann:word12@host/x.csv", "holds a password"),
        ("https://ghp_word12@host/x.csv", "holds a password"),
        ("https://host/x.csv?X-Amz-Signature=word12", "secret in its parameter 'X-Amz-Signature'"),
        ("https://host/x.csv?a=1&api_key=word12", "secret in its parameter 'api_key'"),
        ("https://host/x.csv?sig=word12#sha256=" + "0" * 64, "secret in its parameter 'sig'"),
        ("ftp://ann:word12@[::1/x", "is no URL"),
    ],
)
def test_secrets_in_a_spelling_are_refused_and_not_repeated(source: str, holds: str) -> None:
    with pytest.raises(InputRefused, match=holds) as refused:
        spelt(source)
    assert "word12" not in str(refused.value)


@pytest.mark.parametrize(
    "source",
    [
        "postgresql://ann@host/db#table=t",
        "https://ann:${WORD}@host/x.csv?key=${WORD}",
        "https://host/x.csv?monkey=1&design=2",
        "a#b=c.csv",
        "sklearn:iris",
        "hf:a/b#config=x&revision=y",
    ],
)
def test_other_spellings_are_taken(source: str) -> None:
    assert spelt(source).text == source


def test_options_end_with_a_query() -> None:
    spelling = spelt("x.db#table=t%26u&query=SELECT '#a=1&b=2'")
    assert (spelling.address, spelling.options) == ("x.db", {"table": "t&u", "query": "SELECT '#a=1&b=2'"})
    assert spelt("https://host/a%20b/shop.csv.gz?x=1#md5=" + "a" * 32).title == "shop"


def test_environment_then_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secrets"
    file.write_text("# ours\n WORD = w0rd in the file=yes \nOTHER=0ther-w0rd\n")
    file.chmod(0o600)
    monkeypatch.setenv("MLTEAM_SECRETS", str(file))
    assert (Secrets().get("WORD"), Secrets().get("NONE")) == ("w0rd in the file=yes", None)
    monkeypatch.setenv("WORD", "w0rd in the environment")
    assert Secrets().filled("x/${WORD}/${OTHER}") == "x/w0rd%20in%20the%20environment/0ther-w0rd"
    assert hidden("w0rd in the environment and w0rd%20in%20the%20environment") == "[redacted] and [redacted]"
    with pytest.raises(InputRefused, match=r"needs the secret 'NONE'.*Set the variable NONE.*keyring set mlteam NONE"):
        Secrets().filled("${NONE}")


def test_a_file_that_others_can_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secrets"
    file.write_text("WORD=x\n")
    monkeypatch.setenv("MLTEAM_SECRETS", str(file))
    file.chmod(0o640)
    with pytest.raises(InputRefused, match=r"is open to others; expected mode 0600. Type: chmod 600"):
        Secrets().get("WORD")
    file.chmod(0o600)
    link = tmp_path / "link"
    link.symlink_to(file)
    monkeypatch.setenv("MLTEAM_SECRETS", str(link))
    with pytest.raises(InputRefused, match=r"is open to others|cannot be read"):
        Secrets().get("WORD")
    monkeypatch.setenv("MLTEAM_SECRETS", str(tmp_path / "none"))
    with pytest.raises(InputRefused, match="cannot be read"):
        Secrets().get("WORD")


def test_the_keyring_is_asked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring", reason="keyring is not installed: pip install 'mlteam[keyring]'")

    class Held(keyring.backend.KeyringBackend):  # type: ignore[misc]  # a library that may be missing
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return "w0rd from the keyring" if (service, username) == ("mlteam", "WORD") else None

        def set_password(self, service: str, username: str, password: str) -> None: ...

    before = keyring.get_keyring()
    keyring.set_keyring(Held())
    try:
        assert (Secrets().get("WORD"), Secrets().get("OTHER")) == ("w0rd from the keyring", None)
    finally:
        keyring.set_keyring(before)
