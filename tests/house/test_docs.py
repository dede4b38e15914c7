"""What the README and the docs show is true: code runs, commands exist, every command is shown."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.main import get_command

from feasible import cli
from feasible.testing import running_service

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "src/feasible/systems").rglob("README.md"),
    ]
    if page.name not in {"CHANGELOG.md", "command-line.md"}  # history; generated from the program
)
FENCE = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
SHELLS = {"bash", "console", "sh", "shell"}
STAY_OPEN = {"practice", "studio"}  # commands that end only when somebody ends them
EXPECTED_EXITS = {0, 3, 4}  # done; the promise does not hold; not enough evidence to say


@dataclass(frozen=True)
class Shown:
    """A command line that a page shows."""

    page: Path
    line: int
    words: tuple[str, ...]

    def __str__(self) -> str:
        """Give the place and the command."""
        return f"{self.page.relative_to(ROOT)}:{self.line}: {' '.join(self.words)}"


def _blocks(page: Path, languages: set[str]) -> list[tuple[int, str]]:
    """Give the fenced blocks of these languages with their first line's number."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start()) + 2, textwrap.dedent(match[3]))
        for match in FENCE.finditer(text)
        if match[2] in languages
    ]


def _commands(page: Path, program: str) -> list[Shown]:
    """Give each call of `program` that a page's shell blocks show, one for each simple command."""
    shown = []
    for first, block in _blocks(page, SHELLS):
        lines = block.replace("\\\n", "  ").splitlines()
        for number, line in enumerate(lines, start=first):
            lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            simple: list[list[str]] = [[]]
            for word in lexer:
                if set(word) <= set("|&;<>()"):
                    simple.append([])
                else:
                    simple[-1].append(word)
            for words in simple:
                while words and re.match(r"\w+=", words[0]):  # NAME=value before the program
                    words.pop(0)
                if words and Path(words[0]).name == program:
                    shown.append(Shown(page, number, tuple(words[1:])))
    return shown


SHOWN = [command for page in PAGES for command in _commands(page, "feasible")]


def _tree() -> tuple[typer.core.TyperGroup, typer.Context]:
    """Give the command line as a tree, and a context to look things up in it."""
    group = get_command(cli.app)
    assert isinstance(group, typer.core.TyperGroup)
    return group, typer.Context(group, info_name="feasible", resilient_parsing=True)


def _paths(command: object, context: typer.Context, path: tuple[str, ...] = ()) -> list[str]:
    """Give every command that is not hidden, with its group: `ledger verify`."""
    if not isinstance(command, typer.core.TyperGroup):
        return [" ".join(path)]
    found = []
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        if child is not None and not child.hidden:
            found += _paths(child, context, (*path, name))
    return found


@pytest.mark.parametrize("command", SHOWN, ids=str)
def test_a_command_that_is_shown_exists_with_its_options(command: Shown) -> None:
    """A reader can type what a page shows: no unknown command, option or extra argument."""
    group, context = _tree()
    target: Any = group  # typer exports no name for "a command or a group of them"
    words = list(command.words)
    while isinstance(target, typer.core.TyperGroup) and words and not words[0].startswith("-"):
        name = words.pop(0)
        child = target.get_command(context, name)
        assert child is not None, f"there is no command {name!r}"
        target, context = child, typer.Context(child, info_name=name, parent=context)
    values, rest, _ = target.make_parser(context).parse_args(words)
    assert not rest, f"too many arguments: {rest}"
    if "--help" not in words:
        for parameter in target.params:
            is_given = parameter.name in values and values[parameter.name] is not None
            assert is_given or not parameter.required, f"missing: {parameter.name}"


def test_every_command_is_shown_somewhere() -> None:
    """A command that no page shows will not be found."""
    group, context = _tree()
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    hidden = [path for path in _paths(group, context) if not re.search(rf"feasible {path}\b", text)]
    assert not hidden


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_is_shown_exists(page: Path) -> None:
    """`make NAME` in a page is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for command in _commands(page, "make"):
        wanted = {word for word in command.words if "=" not in word and not word.startswith("-")}
        assert wanted <= targets, str(command)


def _serve_one_request(words: Sequence[str], folder: Path) -> None:
    """Start the service of a page on a free port, ask it one question, and stop it."""
    feature = words[words.index("serve") + 1]
    with running_service(feature, folder=folder) as service:
        asked = {"request": {"text": "where is my money"}}
        assert httpx.post(f"{service.url}/v1/decide", json=asked, timeout=30).status_code == 200
        assert service.stop() == 0


FOLLOWED = [page for page in PAGES if _blocks(page, {"python"}) or _commands(page, "feasible")]


@pytest.mark.slow
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_can_be_followed_in_an_empty_folder(page: Path, tmp_path: Path) -> None:
    """Files that a page shows are written, its Python runs as one script, then its commands run."""
    for _, text in _blocks(page, {"yaml"}):
        if name := re.match(r"# ([\w.-]+\.yaml)\n", text):  # the first line names the file
            (tmp_path / name[1]).write_text(text, encoding="utf-8")
    script = tmp_path / "page.py"
    script.write_text("\n".join(code for _, code in _blocks(page, {"python"})), encoding="utf-8")
    calls = [("its Python", [sys.executable, "-W", "error", str(script)], {0})]
    feasible = str(Path(sys.executable).with_name("feasible"))
    calls += [
        (str(command), [feasible, *command.words], EXPECTED_EXITS)
        for command in _commands(page, "feasible")
        if command.words and not STAY_OPEN & set(command.words)
    ]

    for what, call, allowed in calls:
        if "serve" in call:
            _serve_one_request(call, tmp_path)
            continue
        run = subprocess.run(
            call,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert run.returncode in allowed, f"{what}\n{run.stdout}\n{run.stderr}"
