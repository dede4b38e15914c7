"""The command line: parse arguments, call the loop, print. No logic of its own.

Exit codes: 0 the promise holds, 1 our error, 2 bad input, 3 the promise does not hold or the design
is infeasible, 4 not enough evidence to say.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from feasible.commands import (
    INFEASIBLE,
    NO_EVIDENCE,
    AsJson,
    FeatureName,
    Quiet,
    add_plan_commands,
    add_story,
    console,
    diff,
    explain,
    keys_app,
    ledger_app,
    open_feature,
    practice,
    print_json,
    progress_bars,
    review,
    simulate,
    watch,
)
from feasible.errors import BadInput, FeasibleError

if TYPE_CHECKING:
    from feasible.schema import PlanReport

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Declare what an AI feature may cost and must achieve. Then keep the promise.",
)
brief_app = typer.Typer(no_args_is_help=True, help="The brief's format.")
app.add_typer(brief_app, name="brief")
add_story(brief_app)
app.add_typer(ledger_app, name="ledger")
app.add_typer(keys_app, name="keys")
add_plan_commands(app)

LedgerUrl = Annotated[
    str | None,
    typer.Option(help="Ledger URL, such as sqlite:///decisions.db; the feature's own when absent."),
]


@app.command()
def demo(
    system: Annotated[str, typer.Argument(help="Reference system.")] = "support",
    requests: Annotated[int, typer.Option(help="Requests to send over HTTP.", min=100)] = 2000,
) -> None:
    """Run the whole loop on a reference system, from its brief to its headroom table."""
    from feasible.demo import run_demo

    report = run_demo(open_feature(system), console(), n_requests=requests)
    if report.plan is None:
        raise typer.Exit(_verdict(report))


@app.command()
def new(
    name: Annotated[
        str, typer.Argument(help="Name of the feature; a folder of that name is made.")
    ],
) -> None:
    """Write a runnable feature folder: brief.yaml, tiers.py, data.py, README.md."""
    from feasible.systems import write_starter

    folder = write_starter(Path(name))
    print(f"wrote {folder}/ : brief.yaml, tiers.py, data.py, rows.csv, README.md")
    print(f"next:  feasible review {folder}")


app.command()(review)


@app.command()
def plan(
    feature: Annotated[
        str | None, typer.Argument(help="A feature folder or a reference system.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="A data set of the registry, for example banking77.")
    ] = None,
    brief: Annotated[
        Path | None,
        typer.Option(
            help="A brief: with --profile, plan from logs; alone, what it decides itself."
        ),
    ] = None,
    profile: Annotated[
        Path | None, typer.Option(help="Logged outcomes, Parquet or CSV, one line a row and tier.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Also write a plan that holds here; with --brief and --check, the plan to check."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Makes every random choice repeatable.", min=0)] = 0,
    looks: Annotated[
        Literal["one", "many"],
        typer.Option(
            help="Certify for one look, or as one of many that keep the declared levels together."
        ),
    ] = "one",
    choose: Annotated[
        Literal["cost", "value"],
        typer.Option(help="Of the plans that hold: the cheapest, or the one that is worth most."),
    ] = "cost",
    check: Annotated[
        bool,
        typer.Option("--check", help="Only say whether the certificate of the plan still stands."),
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find the cheapest cascade that keeps the brief, and certify it; or say why there is none."""
    from feasible.schema import write_json

    if check:
        _check(feature, data, brief, profile, out, as_json=as_json)
        return
    if (feature is None) == (brief is None and profile is None):
        raise BadInput(
            "plan what?", attempt="feasible plan NAME, or feasible plan --brief B --profile P"
        )
    report = _planned(
        feature, data, brief, profile, seed=seed, schedule=looks, choose=choose, quiet=quiet
    )
    if out is not None and report.plan is not None:
        write_json(report.plan, out)
    elif out is not None and report.data is not None and out.exists():
        aside = out.with_name(f"{out.stem}.superseded.json")
        out.replace(aside)  # what was shown before does not hold on the rows of today
        print(f"no plan holds: the older {out} was put aside as {aside}", file=sys.stderr)
    if as_json:
        print_json(report)
    else:
        _show_plan(report)
        if report.plan is not None and feature is not None:
            print(f"every promise holds: {report.plan.id}\nnext:  feasible serve {feature}")
    if not report.feasible:
        raise typer.Exit(_verdict(report))


@app.command()
def backtest(
    plan_file: Annotated[Path, typer.Argument(help="A plan, as `feasible plan --out` writes it.")],
    profile: Annotated[Path, typer.Option(help="Outcomes on other rows, Parquet or CSV.")],
    as_json: AsJson = False,
) -> None:
    """Replay a fixed plan on other rows: cost, latency, quality, and whether each promise held."""
    from feasible import loop
    from feasible.report import backtest_table

    result = loop.backtest(plan_file, profile)
    if as_json:
        print_json(result)
    else:
        console().print(backtest_table(result))
    held = [promise.held for promise in result.promises]
    if "false" in held:
        raise typer.Exit(INFEASIBLE)
    if "undecided" in held:
        raise typer.Exit(NO_EVIDENCE)


app.command()(simulate)
app.command()(practice)
app.command()(explain)
app.command()(diff)


@app.command()
def serve(
    feature: FeatureName,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8000,
    ledger: LedgerUrl = None,
    workers: Annotated[
        int, typer.Option(help="Processes that answer, on one ledger.", min=1, max=64)
    ] = 1,
    keys: Annotated[
        Path | None,
        typer.Option(help="File of API keys; what `feasible keys` uses when absent."),
    ] = None,
    rate: Annotated[
        str | None, typer.Option(help="Requests that each key may send, such as 100/s.")
    ] = None,
    in_flight: Annotated[
        int, typer.Option(help="Requests answered at once; more are refused.", min=2)
    ] = 1024,
    log: Annotated[
        Literal["debug", "info", "warning", "error"],
        typer.Option(help="The least that is logged, as JSON lines on standard error."),
    ] = "info",
    log_share: Annotated[
        float,
        typer.Option(
            help="Share of the decisions that go well and are logged too.", min=0.0, max=1.0
        ),
    ] = 0.001,
) -> None:
    """Serve the plan over HTTP; an answer leaves after its decision is in the ledger."""
    from feasible import service  # not the loop, which brings a planner along
    from feasible.serving import FrontOptions, rate_of

    front = FrontOptions(
        keys_file=None if keys is None else str(keys),
        rate_per_s=None if rate is None else rate_of(rate),
        max_in_flight=in_flight,
        log_level=log,
        log_share=log_share,
    )
    service.serve(
        open_feature(feature),
        ledger_url=ledger,
        host=host,
        port=port,
        workers=workers,
        say=_say,
        front=front,
    )


app.command()(watch)


@app.command()
def label(
    feature: FeatureName,
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV, JSON lines or Parquet: decision_id, value, source, known_at; selection "
            "(organic when absent, audit, review or explored), label_id and reviewer may be there."
        ),
    ],
    ledger: LedgerUrl = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Take late labels into the ledger. Sending a label twice changes nothing.

    A file of any length is read in parts; when that was cut short, the same command goes on.
    """
    from feasible import loop

    with progress_bars(enabled=not quiet and sys.stderr.isatty()) as progress:
        outcome = loop.add_labels(
            open_feature(feature),
            file,
            ledger_url=ledger,
            progress=progress,
            say=lambda text: print(text, file=sys.stderr),
        )
    if as_json:
        print_json(outcome)
    else:
        print(", ".join(f"{name} {count:,}" for name, count in outcome.items()))
    unknown, conflict = outcome.get("unknown_decision", 0), outcome.get("conflict", 0)
    if unknown or conflict:
        raise BadInput(
            f"{unknown:,} labels name decisions that are not in this ledger, and {conflict:,} use "
            f"the id of another label",
            found=f"the other {sum(outcome.values()) - unknown - conflict:,} are in the ledger",
            attempt="check --ledger and the ids",
        )


@brief_app.command("schema")
def brief_schema() -> None:
    """Print the JSON Schema of brief.yaml, for editors."""
    from feasible.schema import brief_schema as schema

    print_json(schema())


def main() -> None:
    """Run the command line; a known error becomes its text and its exit code."""
    try:
        app()
    except FeasibleError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _verdict(report: PlanReport) -> int:
    """Give the exit code of a report without a plan that holds."""
    lacks_evidence = report.infeasible is not None and report.infeasible.kind == "evidence"
    return NO_EVIDENCE if lacks_evidence else INFEASIBLE


def _check(
    feature: str | None,
    data: str | None,
    brief: Path | None,
    profile: Path | None,
    made: Path | None,
    *,
    as_json: bool,
) -> None:
    """Say whether a plan's certificate still stands; end with 3 when it has expired."""
    from feasible import loop
    from feasible.report import check_text

    again = "feasible plan NAME --check, or feasible plan --brief B --out PLAN --check"
    unused = {"--data": data, "--profile": profile}
    if feature is not None:
        unused |= {"--brief": brief, "--out": made}
    given = [name for name, value in unused.items() if value is not None]
    if given:
        raise BadInput(
            "a check looks at a plan and at what it was made for, and at no rows",
            asked=f"--check with {', '.join(given)}",
            attempt=again,
        )
    if feature is not None:
        found = loop.check(open_feature(feature))
    elif brief is not None and made is not None:
        found = loop.check_file(brief, made)
    else:
        raise BadInput("check which plan?", asked="--check", attempt=again)
    if as_json:
        print_json(found)
    else:
        print(check_text(found))
        if not found.stands:
            print("next:  plan again")
    if not found.stands:
        raise typer.Exit(INFEASIBLE)


def _planned(
    feature: str | None,
    data: str | None,
    brief: Path | None,
    profile: Path | None,
    *,
    seed: int,
    schedule: Literal["one", "many"],
    choose: Literal["cost", "value"],
    quiet: bool,
) -> PlanReport:
    """Plan from a feature folder, from logs, or from a brief alone."""
    from feasible import loop
    from feasible.schema import load_brief

    if feature is not None:
        opened = open_feature(feature)
        with progress_bars(enabled=not quiet) as progress:
            return loop.plan(
                opened,
                data=data,
                seed=seed,
                schedule=schedule,
                choose=choose,
                progress=progress,
                say=_warn,
            )
    if data is not None:
        raise BadInput(
            "a data set is read by a feature's own code, and there is none here",
            asked=f"--data {data} without a feature",
            attempt="feasible plan NAME --data DATA, or leave --data out",
        )
    if brief is None:
        raise BadInput(
            "logged outcomes need the brief that they are held to",
            asked=f"--profile {profile}",
            found="no --brief",
            attempt=f"--brief brief.yaml --profile {profile}",
        )
    if profile is None:
        return loop.plan_from_brief(load_brief(brief))
    return loop.plan_from_profile(brief, profile, seed=seed, schedule=schedule, choose=choose)


def _say(line: str) -> None:
    print(line, flush=True)


def _warn(line: str) -> None:
    print(f"before training: {line}", file=sys.stderr, flush=True)


def _show_plan(report: PlanReport) -> None:
    from feasible.report import plan_parts

    screen = console()
    for part in plan_parts(report):
        screen.print(part)


if __name__ == "__main__":
    main()
