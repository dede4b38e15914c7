"""`feasible explain` and `feasible brief story`: what a technique changes, what a design is."""

from __future__ import annotations

from typing import Annotated

import typer

from feasible.commands.console import AsJson, found_brief, print_json

__all__ = ["add_story", "explain"]


def explain(
    technique: Annotated[
        str | None, typer.Argument(help="For example quantisation; without one, all are listed.")
    ] = None,
    feature: Annotated[
        str, typer.Argument(help="The feature, brief.yaml or system that the what-if is tried on.")
    ] = "support",
    tier: Annotated[
        str | None, typer.Option(help="The tier it is used on; the dearest model when absent.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a technique changes, with a what-if computed on a brief's own numbers."""
    from feasible.rubric.techniques import explain as explained
    from feasible.rubric.techniques import explained_text, techniques

    if technique is None:
        if as_json:
            print_json(techniques())
        else:
            print("\n".join(techniques()))
        return
    said = explained(technique, found_brief(feature).brief, tier=tier)
    if as_json:
        print_json(said)
    else:
        print(explained_text(said))


def add_story(app: typer.Typer) -> None:
    """Add `story` to the commands about briefs."""
    app.command()(story)


def story(
    feature: Annotated[str, typer.Argument(help="A feature folder, a brief.yaml, or a system.")],
    document: Annotated[
        bool,
        typer.Option("--document", help="The design document and model card, instead of the walk."),
    ] = False,
) -> None:
    """Tell a design in eight minutes, on one page of Markdown, its riskiest part in the middle."""
    from feasible import loop
    from feasible.report import design_document
    from feasible.report import story as told

    found = found_brief(feature)
    tell = design_document if document else told
    print(tell(found.brief, loop.review(found)), end="")
