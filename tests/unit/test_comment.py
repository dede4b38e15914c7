"""One comment is kept on a pull request; the host is played from answers of its documented form."""

from __future__ import annotations

import httpx
import pytest

from feasible.commands.comment import MARK, keep_comment
from feasible.errors import BadInput

BOT = "github-actions[bot]"
URL = "https://github.example/o/n/pull/12#issuecomment-7"


class Host:
    """Holds the comments of one pull request, and what was asked of it."""

    def __init__(self, *bodies: str, author: str = BOT) -> None:
        self.comments = [
            {"id": i, "body": body, "html_url": URL, "user": {"login": author}}
            for i, body in enumerate(bodies)
        ]
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer as the host would."""
        self.asked.append(f"{request.method} {request.url.path}")
        if request.headers["Authorization"] != "Bearer right":
            return httpx.Response(401, json={"message": "Bad credentials"})
        if request.url.path == "/graphql":
            return httpx.Response(200, json={"data": {"viewer": {"login": BOT}}})
        if request.method == "GET":
            page, size = int(request.url.params["page"]), int(request.url.params["per_page"])
            return httpx.Response(200, json=self.comments[(page - 1) * size : page * size])
        body = request.read().decode()
        return httpx.Response(200, json={"id": 7, "body": body, "html_url": URL})


def _keep(host: Host, *, is_news: bool = True) -> str | None:
    return keep_comment("o/n#12", "**x**", is_news=is_news, transport=httpx.MockTransport(host))


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "right")
    monkeypatch.delenv("GITHUB_API_URL", raising=False)
    monkeypatch.delenv("GITHUB_GRAPHQL_URL", raising=False)


def test_the_first_comment_is_written() -> None:
    """Another's comments are left alone."""
    host = Host("somebody else's")

    assert _keep(host) == URL
    assert host.asked[-1] == "POST /repos/o/n/issues/12/comments"


def test_the_second_time_the_same_comment_is_written_again() -> None:
    """Also when it stands on the second page, and when there is no news any more."""
    host = Host(*["other"] * 120, f"{MARK}\nold")

    assert _keep(host, is_news=False) == URL
    assert host.asked[-1] == "PATCH /repos/o/n/issues/comments/120"


def test_a_comment_of_another_with_the_mark_is_left_alone() -> None:
    """Whoever copies the mark cannot make us write into a comment, nor keep us from writing one."""
    host = Host(f"{MARK}\ncopied", author="somebody")

    assert _keep(host) == URL
    assert host.asked[-1] == "POST /repos/o/n/issues/12/comments"


def test_a_host_that_does_not_say_whose_token_it_is_is_an_error() -> None:
    """Nothing is written then."""
    asked = []

    def silent(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        return httpx.Response(200, json={"data": None, "errors": ["no"]})

    with pytest.raises(BadInput, match="whose token"):
        keep_comment("o/n#12", "x", is_news=True, transport=httpx.MockTransport(silent))
    assert asked == ["POST"]


def test_without_news_nothing_is_written() -> None:
    """Nobody is told that nothing changes."""
    host = Host()

    assert _keep(host, is_news=False) is None
    assert host.asked == ["POST /graphql", "GET /repos/o/n/issues/12/comments"]


def test_a_refusal_says_what_the_token_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad input, and not a crash."""
    monkeypatch.setenv("GITHUB_TOKEN", "wrong")

    with pytest.raises(BadInput, match="pull-requests: write"):
        _keep(Host())
