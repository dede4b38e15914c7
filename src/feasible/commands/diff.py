"""`feasible diff`: what a change of a brief does to its promises."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feasible.commands.console import INFEASIBLE, AsJson, open_feature, print_json

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
    from feasible.schema import Brief, load_brief

    def read(name: str) -> Brief:
        path = Path(name)
        found = load_brief(path) if path.suffix in {".yaml", ".yml"} else open_feature(name).found
        return found.brief

    found = compare(read(before), read(after))
    if as_json:
        print_json(found)
    else:
        print(difference_markdown(found))
    if comment_on is not None:
        keep_comment(comment_on, difference_markdown(found), is_news=bool(found.changes))
    if found.broken:
        raise typer.Exit(INFEASIBLE)
