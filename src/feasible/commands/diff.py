"""`feasible diff`: what a change of a brief does to its promises."""

from __future__ import annotations

from typing import Annotated

import typer

from feasible.commands.console import INFEASIBLE, AsJson, found_brief, found_plan, print_json

__all__ = ["diff"]

_NOTHING = "/dev/null"
"""What stands before a new file, as in a patch."""


def diff(
    before: Annotated[
        str,
        typer.Argument(
            help="A feature folder, a brief.yaml, or a system; /dev/null where the brief is new."
        ),
    ],
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
    """Say what a change does to cost, limits, latencies, quality and the first break, as Markdown.

    Where a side is a feature with a plan, its certificate says what was shown of its quality. Exit
    code 3 when a promise does not hold after the change.
    """
    from feasible.commands.comment import keep_comment
    from feasible.rubric import compare, difference_markdown

    found = compare(
        None if before == _NOTHING else found_brief(before).brief,
        found_brief(after).brief,
        plans=(None if before == _NOTHING else found_plan(before), found_plan(after)),
    )
    if as_json:
        print_json(found)
    else:
        print(difference_markdown(found))
    if comment_on is not None:
        keep_comment(comment_on, difference_markdown(found), is_news=bool(found.changes))
    if found.broken:
        raise typer.Exit(INFEASIBLE)
