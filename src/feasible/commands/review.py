"""`feasible review`: a design against the rubric, before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from feasible.commands.console import INFEASIBLE, AsJson, found_brief, found_plan, print_json
from feasible.errors import BadInput

if TYPE_CHECKING:
    from feasible.rubric import Progress, Review
    from feasible.schema import BriefFile

__all__ = ["review"]


def review(
    feature: Annotated[
        str, typer.Argument(help="A feature folder, a brief.yaml, or a reference system.")
    ],
    as_json: AsJson = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")
    ] = False,
    as_sarif: Annotated[
        bool, typer.Option("--sarif", help="Print SARIF 2.1.0, which shows findings in place.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(help="Also write it as one HTML page that needs no network.")
    ] = None,
    lens: Annotated[
        list[Path] | None,
        typer.Option(help="Your own questions, a YAML file; may be given several times."),
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(help="Keep the review as a milestone, a JSON file.")
    ] = None,
    since: Annotated[
        Path | None, typer.Option(help="Also say what has changed since a milestone.")
    ] = None,
) -> None:
    """Judge a design by its brief and by a simulation of it, before anything is built.

    `waivers.yaml` beside the brief says which findings are lived with, and why. Exit code 3 while a
    HIGH risk is open.
    """
    from feasible import loop
    from feasible.rubric import keep_milestone, progress, read_milestone

    forms = {"--json": as_json, "--markdown": as_markdown, "--sarif": as_sarif}
    asked = [name for name, is_asked in forms.items() if is_asked]
    if len(asked) > 1:
        raise BadInput(
            "a review is printed in one form",
            asked=" and ".join(asked),
            attempt=f"feasible review {feature} {asked[0]}",
        )
    before = None if since is None else read_milestone(since)
    found = found_brief(feature)
    judged = loop.review(found, lenses=lens or (), plan=found_plan(feature))
    moved = None if before is None else progress(before, judged)
    _print(judged, moved, found, *asked)
    if html is not None:
        _write_page(html, judged, moved)
    if keep is not None:
        keep_milestone(keep, judged, day=loop.today())
    if any(finding.risk == "HIGH" and finding.waived is None for finding in judged.findings):
        raise typer.Exit(INFEASIBLE)


def _print(judged: Review, moved: Progress | None, found: BriefFile, form: str = "") -> None:
    from feasible.report import review_sarif
    from feasible.rubric import progress_text, review_markdown, review_text

    if form == "--sarif":
        print_json(review_sarif(judged, uri=found.path.as_posix()))
    elif form == "--json":
        print_json(judged if moved is None else {"review": judged, "since": moved})
    else:
        print(review_markdown(judged) if form == "--markdown" else review_text(judged))
        if moved is not None:
            fence = "```" if form == "--markdown" else ""
            print("\n".join(part for part in ("", fence, progress_text(moved), fence) if part))


def _write_page(path: Path, judged: Review, moved: Progress | None) -> None:
    from feasible.report import reviewed_page

    try:
        path.write_text(reviewed_page(judged, since=moved), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"the page {path} cannot be written", found=str(error)) from error
