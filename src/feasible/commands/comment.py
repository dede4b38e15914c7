"""One comment on a pull request that is kept up to date, over GitHub's REST interface."""

from __future__ import annotations

import os
import re
from typing import Any, Final

import httpx

from feasible.errors import BadInput

__all__ = ["keep_comment"]

MARK: Final = "<!-- feasible diff -->"
_PULL: Final = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)#(?P<number>\d+)")
_PAGE: Final = 100
_TIMEOUT_S: Final = 20.0


def keep_comment(
    pull: str, body: str, *, is_news: bool, transport: httpx.BaseTransport | None = None
) -> str | None:
    """Write the comment, or write it again where it is there already.

    Without news nothing new is written; a comment that is there is still brought up to date.

    Args:
        pull: Such as `owner/name#12`.
        body: Markdown.
        is_news: Whether any promise changes.
        transport: How requests travel; None: over the network.

    Returns:
        Address of the comment; None when nothing was written.

    Raises:
        BadInput: The pull request or the token is missing, or the host refuses.
    """
    named = _PULL.fullmatch(pull)
    token = os.environ.get("GITHUB_TOKEN")
    if named is None or not token:
        raise BadInput(
            "no comment can be written",
            asked=f"--comment-on {pull}",
            found="no pull request of that form" if named is None else "no GITHUB_TOKEN",
            attempt="--comment-on owner/name#12, with GITHUB_TOKEN in the environment",
        )
    client = httpx.Client(
        base_url=os.environ.get("GITHUB_API_URL", "https://api.github.com"),
        headers={"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"},
        timeout=_TIMEOUT_S,
        transport=transport,
    )
    comments = f"/repos/{named['repo']}/issues/{named['number']}/comments"
    said = {"body": f"{MARK}\n{body}"}
    with client:
        own = _own(client, comments, author=_author(client))
        if own is not None:
            at = f"/repos/{named['repo']}/issues/comments/{own}"
            return str(_sent(client, "PATCH", at, json=said)["html_url"])
        if not is_news:
            return None
        return str(_sent(client, "POST", comments, json=said)["html_url"])


def _author(client: httpx.Client) -> str:
    """Give the name under which the token writes; a workflow's own token may ask this way only."""
    at = os.environ.get("GITHUB_GRAPHQL_URL", "https://api.github.com/graphql")
    answer = _sent(client, "POST", at, json={"query": "query { viewer { login } }"})
    found = (answer.get("data") or {}).get("viewer") or {}
    if not found.get("login"):
        raise BadInput(
            "nobody can say whose token this is",
            asked=f"POST {at}",
            found=str(answer.get("errors", "no login")),
            attempt="GITHUB_GRAPHQL_URL, where the host is another one",
        )
    return str(found["login"])


def _own(client: httpx.Client, comments: str, *, author: str) -> int | None:
    """Give the id of the comment that carries our mark and that this author wrote.

    Another's comment with the mark in it, a quoted one say, is left alone.
    """
    page = 1
    while found := _sent(client, "GET", comments, params={"per_page": _PAGE, "page": page}):
        for comment in found:
            is_own = (comment.get("user") or {}).get("login") == author
            if is_own and str(comment["body"] or "").startswith(MARK):
                return int(comment["id"])
        if len(found) < _PAGE:
            return None
        page += 1
    return None


def _sent(client: httpx.Client, method: str, at: str, **parts: Any) -> Any:
    try:
        answer = client.request(method, at, **parts)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise BadInput(
            "the comment could not be kept",
            asked=f"{method} {at}",
            found=str(error),
            attempt="the token needs `pull-requests: write`",
        ) from error
    return answer.json()
