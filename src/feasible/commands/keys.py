"""`feasible keys`: make, list and revoke the keys of a service."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from feasible.commands.console import AsJson, print_json

__all__ = ["keys_app"]

keys_app = typer.Typer(no_args_is_help=True, help="API keys: who may ask a service for what.")

KeyFile = Annotated[
    Path | None,
    typer.Option(
        help="File of keys; FEASIBLE_KEYS_FILE or .feasible/keys.json in this folder when absent."
    ),
]


@keys_app.command("new")
def keys_new(
    name: Annotated[str, typer.Option(help="What the key is called in lists and in the ledger.")],
    scope: Annotated[
        list[str],
        typer.Option(
            help="What it may do: decide, label, review or admin; give it again for more."
        ),
    ],
    file: KeyFile = None,
) -> None:
    """Make a key and print it once; only its hash is written.

    The key goes to standard output, alone on its line, and everything else to standard error. A
    service that runs with this file takes the key within a second.
    """
    from feasible.serving import default_key_file, new_key

    where = file or default_key_file()
    secret = new_key(where, name=name, scopes=scope)
    print(secret)
    print(
        f"key {name!r} may {', '.join(sorted(set(scope)))}; its hash is in {where}", file=sys.stderr
    )
    print("keep it now: it cannot be shown again", file=sys.stderr)


@keys_app.command("list")
def keys_list(file: KeyFile = None, as_json: AsJson = False) -> None:
    """List the keys: name, scopes, when and by whom each was made and revoked. No hashes."""
    from feasible.serving import default_key_file, read_keys

    keys = read_keys(file or default_key_file())
    if as_json:
        shown = [
            {field: value for field, value in msgspec.to_builtins(key).items() if field != "sha256"}
            for key in keys
        ]
        print_json(shown)
        return
    for key in keys:
        state = "holds"
        if key.revoked_at is not None:
            state = f"revoked {key.revoked_at:%Y-%m-%d %H:%M} by {key.revoked_by}"
        made = f"made {key.made_at:%Y-%m-%d %H:%M} by {key.made_by}"
        print(f"{key.name:<20}  {', '.join(key.scopes):<28}  {made}  {state}")


@keys_app.command("revoke")
def keys_revoke(
    name: Annotated[str, typer.Argument(help="Name of the key.")], file: KeyFile = None
) -> None:
    """Let a key hold no longer; a service that runs with this file refuses it within a second."""
    from feasible.serving import default_key_file, revoke_key

    revoke_key(file or default_key_file(), name)
    print(f"key {name!r} is revoked")
