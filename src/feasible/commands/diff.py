"""`feasible diff`: what a change of a brief does to its promises."""

from __future__ import annotations

from typing import Annotated

import typer

from feasible.commands.console import INFEASIBLE, AsJson, found_brief, print_json

__all__ = ["diff"]


def diff(
    before: Annotated[str, typer.Argument(help="A feature folder, a brief.yaml, or a system.")],
    after: Annotated[str, typer.Argument(help="The same after the change.")],
    comment_on: Annotated[
        str | None,
        typer.Option(
            help="Also keep one comment on this pull request, such as owner/name#12; the token is "
            "GITHUB_TOKEN of the environment."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a change does to cost, limits, headroom and what binds first, as Markdown.

    Exit code 3 when a promise does not hold after the change.
    """
    from feasible.commands.comment import keep_comment
    from feasible.rubric import compare, difference_markdown

    found = compare(found_brief(before).brief, found_brief(after).brief)
    if as_json:
        print_json(found)
    else:
        print(difference_markdown(found))
    if comment_on is not None:
        keep_comment(comment_on, difference_markdown(found), is_news=bool(found.changes))
    if found.broken:
        raise typer.Exit(INFEASIBLE)
