"""Pull requests through the APIs of GitHub and GitLab. A token stands in the environment and in the request's header, nowhere else."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from urllib.parse import quote, urlsplit

WAIT_S = 20.0
VARIABLES = {"github": ("GITHUB_TOKEN", "GH_TOKEN"), "gitlab": ("GITLAB_TOKEN",)}
APIS = {"github": "GITHUB_API_URL", "gitlab": "GITLAB_API_URL"}
"""Variables that name the API of an installation of one's own, such as https://HOST/api/v4."""


class ForgeRefused(Exception):
    """The forge did not do what was asked; the message says why and what is needed."""


class Forge(Protocol):
    """One project on one forge."""

    kind: Literal["github", "gitlab"]

    def check(self) -> str:
        """Its default branch, after asking whether the token may write to the project.

        Raises:
            ForgeRefused: when it may not, or there is no such project.
        """

    def opened(self, branch: str) -> str | None:
        """The address of the newest request that was made of `branch`, whatever became of it; None where there is none.

        Raises:
            ForgeRefused: when it does not say.
        """

    def open(self, branch: str, base: str, title: str, text: str) -> str:
        """Ask for `branch` to be merged into `base`; the address of the request.

        Raises:
            ForgeRefused: when that is refused.
        """


@dataclass
class _Client:
    kind: Literal["github", "gitlab"]
    api: str
    project: str
    token: str

    def ask(self, method: str, path: str, expected: int, **body: Any) -> Any:
        import httpx

        header = {"Authorization": f"Bearer {self.token}"} if self.kind == "github" else {"PRIVATE-TOKEN": self.token}
        try:
            answer = httpx.request(method, f"{self.api}{path}", json=body or None, headers=header, timeout=WAIT_S, follow_redirects=False)
        except httpx.HTTPError as error:
            raise ForgeRefused(f"{self.kind} at {self.api} cannot be reached: {type(error).__name__}") from None
        if answer.status_code != expected:
            raise ForgeRefused(self._why(answer))
        try:
            return answer.json()
        except ValueError:
            raise ForgeRefused(f"{self.kind} at {self.api} does not answer in JSON") from None

    def _why(self, answer: Any) -> str:
        variable = VARIABLES[self.kind][0]
        match answer.status_code:
            case 401:
                return f"{self.kind} does not know the token in {variable} (401). Make a new one and set {variable}"
            case 403:
                return f"the token in {variable} has not the rights that this takes (403): {self._said(answer)}"
            case 404:
                return f"{self.kind} shows no project {self.project!r} to the token in {variable} (404)"
        return f"{self.kind} answered {answer.status_code}: {self._said(answer)}"

    def _said(self, answer: Any) -> str:
        try:
            document = answer.json()
        except ValueError:
            return "no reason was given"
        said = document.get("message", document.get("error", "")) if isinstance(document, dict) else document
        more = (
            [str(one.get("message", "")) for one in document.get("errors", []) if isinstance(one, dict)]
            if isinstance(document, dict)
            else []
        )
        return " ".join(filter(None, [str(said)[:200], *more]))[:300].replace(self.token, "[redacted]")


class GitHub(_Client):
    """GitHub's REST API, version 3."""

    def check(self) -> str:
        found = self.ask("GET", f"/repos/{self.project}", 200)
        if not (found.get("permissions") or {}).get("push"):
            raise ForgeRefused(
                f"the token in {VARIABLES['github'][0]} may read {self.project!r} and not write to it;"
                " it needs contents and pull requests: write"
            )
        return str(found["default_branch"])

    def opened(self, branch: str) -> str | None:
        owner = self.project.partition("/")[0]
        found = self.ask("GET", f"/repos/{self.project}/pulls?state=all&head={quote(f'{owner}:{branch}', safe='')}", 200)
        return str(found[0]["html_url"]) if found else None

    def open(self, branch: str, base: str, title: str, text: str) -> str:
        return str(self.ask("POST", f"/repos/{self.project}/pulls", 201, title=title, head=branch, base=base, body=text)["html_url"])


class GitLab(_Client):
    """GitLab's REST API, version 4."""

    DEVELOPER = 30

    def check(self) -> str:
        found = self.ask("GET", f"/projects/{quote(self.project, safe='')}", 200)
        access = found.get("permissions") or {}
        level = max((part or {}).get("access_level", 0) for part in (access.get("project_access"), access.get("group_access")))
        if level < self.DEVELOPER:
            raise ForgeRefused(
                f"the token in {VARIABLES['gitlab'][0]} may read {self.project!r} and not write to it;"
                " it needs the role Developer and the scope api"
            )
        return str(found["default_branch"])

    def opened(self, branch: str) -> str | None:
        project = quote(self.project, safe="")
        found = self.ask("GET", f"/projects/{project}/merge_requests?state=all&source_branch={quote(branch, safe='')}", 200)
        return str(found[0]["web_url"]) if found else None

    def open(self, branch: str, base: str, title: str, text: str) -> str:
        path = f"/projects/{quote(self.project, safe='')}/merge_requests"
        return str(self.ask("POST", path, 201, source_branch=branch, target_branch=base, title=title, description=text)["web_url"])


def forge_of(address: str, kind: str | None = None, environment: dict[str, str] | None = None) -> Forge:
    """The forge that a remote's address belongs to.

    Args:
        kind: `github` or `gitlab`, where the address does not tell.
        environment: tokens and addresses of APIs; the process's own where None.

    Raises:
        ForgeRefused: when the address tells no forge or project, or there is no token.
    """
    env = dict(os.environ) if environment is None else environment
    host, project = _place(address)
    found = kind or next((name for name in VARIABLES if name in host), None)
    if found not in ("github", "gitlab"):
        raise ForgeRefused(f"nobody knows what forge {host or address!r} is. Say it with --forge github or --forge gitlab")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)+", project):
        raise ForgeRefused(f"the remote's address names no project: {project!r}; expected OWNER/NAME at its end")
    token = next((env[name] for name in VARIABLES[found] if env.get(name)), "")
    if not token:
        raise ForgeRefused(f"a pull request needs a token, and {' and '.join(VARIABLES[found])} are not set")
    own = (
        "https://api.github.com"
        if found == "github" and host == "github.com"
        else f"https://{host}/api/{'v3' if found == 'github' else 'v4'}"
    )
    api = (env.get(APIS[found]) or own).rstrip("/")
    return GitHub("github", api, project, token) if found == "github" else GitLab("gitlab", api, project, token)


def _place(address: str) -> tuple[str, str]:
    """Host and project of a remote's address: an URL, or HOST:PROJECT as ssh has it."""
    short = re.fullmatch(r"(?:[^@/]+@)?([\w.-]+):(?!//)(.+)", address)
    if short:
        host, path = short[1], short[2]
    else:
        parts = urlsplit(address)
        host, path = parts.hostname or "", parts.path
    return host, path.strip("/").removesuffix(".git")
