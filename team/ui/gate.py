"""What a request must pass before a route sees it, and what every answer carries.

The name that was asked for keeps a web page of somebody else, whose name leads to this machine, from reading (DNS rebinding). The token
is given once, in a form or as `?token=`, for a cookie that scripts do not see, or with each request as a bearer token.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode

from tools.serving.gate import App, Message, Receive, Send

COOKIE = "mlteam_ui"
TOKEN_PATH = "/token"
OPEN = frozenset({"/static/ui.css", "/favicon.ico"})
"""What the form for the token needs."""
MOST_FORM_BYTES = 4096
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of the page itself: nothing comes from elsewhere, nothing within a page is a script."""
DOCUMENT_POLICY = (
    "sandbox allow-scripts allow-popups allow-downloads; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of documents that lie in runs and evals: whatever they hold, it is no part of this page, and asks nobody for anything."""
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "content-security-policy": POLICY,
}
"""Unless a route says otherwise."""
FORM = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Token · mlteam</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/static/ui.css"></head>
<body><header class="top"><div class="wide"><nav aria-label="Pages"><b>mlteam</b></nav></div></header>
<main class="wide"><h1>This page asks for a token</h1>
<form method="post" action="/token" class="asks"><label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Open</button></form>
<p class="none">%s</p></main>
<footer class="wide">It was set with --token or MLTEAM_UI_TOKEN where mlteam ui was started.</footer></body></html>
"""


class Gate:
    """Plain ASGI around the application.

    Args:
        hosts: names under which it may be asked, without a port; None takes any, which is safe behind a token alone.
        token: what a reader must know; None for none.
    """

    def __init__(self, app: App, *, hosts: Iterable[str] | None, token: str | None) -> None:
        self._app = app
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        self._token = token
        self._session = secrets.token_urlsafe(32)
        """What the cookie holds: worth nothing after this process."""

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}

        async def carrying(message: Message) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message.get("headers", [])}
                more = [(k.encode(), v.encode("latin-1")) for k, v in HEADERS.items() if k.encode() not in there]
                message = {**message, "headers": [*message.get("headers", []), *more]}
            await send(message)

        if self._hosts is not None and _name(headers.get("host", "")) not in self._hosts:
            return await _answer(carrying, 421, "This page answers to its own address only. Open the one that mlteam ui printed.\n")
        posted = scope["method"] == "POST" and scope["path"] == TOKEN_PATH and self._token is not None
        if scope["method"] not in ("GET", "HEAD") and not posted:
            return await _answer(carrying, 405, "This page is read only.\n", {"allow": "GET, HEAD"})
        if self._token is None:
            return await self._app(scope, receive, carrying)
        if posted:
            given = parse_qs((await _body(receive)).decode("latin-1")).get("token", [""])[0]
            return await self._admit(carrying, given, "/")
        if self._knows(headers) or scope["path"] in OPEN:
            return await self._app(scope, receive, carrying)
        asked = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(asked).get("token", "")
        if given:
            rest = urlencode([(name, value) for name, value in asked if name != "token"])
            path = "/" + scope.get("raw_path", b"/").decode("latin-1").lstrip("/\\")  # two of them would name another server
            return await self._admit(carrying, given, path + (f"?{rest}" if rest else ""))
        await self._refuse(carrying, headers.get("accept", ""))

    def _knows(self, headers: dict[str, str]) -> bool:
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._right(bearer.strip()):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(cookie.value.encode(), self._session.encode())

    def _right(self, given: str) -> bool:
        assert self._token is not None
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode("utf-8", "replace"))

    async def _admit(self, send: Send, given: str, onwards: str) -> None:
        """Set the cookie and go on to the same address without the token, so that it stays in no history."""
        if not self._right(given):
            return await _answer(send, 401, FORM % "That was not the token.", {"content-type": "text/html; charset=utf-8"})
        # Lax, since a link of a document with an origin of its own must still lead to the next one; nothing can be changed by a GET.
        cookie = f"{COOKIE}={self._session}; HttpOnly; SameSite=Lax; Path=/"
        await _answer(send, 303, "", {"location": onwards, "set-cookie": cookie})

    async def _refuse(self, send: Send, accept: str) -> None:
        if "text/html" in accept:
            return await _answer(send, 401, FORM % "", {"content-type": "text/html; charset=utf-8", "www-authenticate": "Bearer"})
        await _answer(send, 401, "A token is needed: Authorization: Bearer TOKEN, or ?token=TOKEN.\n", {"www-authenticate": "Bearer"})


def _name(host: str) -> str:
    """The name of a Host header, without the port."""
    host = host.strip().lower()
    return host.rpartition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body = (body + message.get("body", b""))[:MOST_FORM_BYTES]
        if message["type"] != "http.request" or not message.get("more_body"):
            return body


async def _answer(send: Send, status: int, text: str, headers: dict[str, str] | None = None) -> None:
    body = text.encode()
    given = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body)), **(headers or {})}
    await send({"type": "http.response.start", "status": status, "headers": [(k.encode(), v.encode("latin-1")) for k, v in given.items()]})
    await send({"type": "http.response.body", "body": body})
