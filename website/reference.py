"""Write what the program itself knows into docs/steps.md and docs/settings.md: examples, options, keys.

What stands around them is written by hand and stays. `make reference` does it; a test fails where it would change
anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click
from msgspec import NODEFAULT, Meta

from mlbutler.cli import cli
from mlbutler.settings import Gate, Predictions, Settings
from mlbutler.settings.types import SettingsSection

DOCS = Path(__file__).resolve().parent.parent / "docs"
COMMON = ("chdir", "json", "quiet", "verbose")
"""Options of every verb, which stand at the head of the page."""
_TABLE = re.compile(r"^\| (?:option|key) \| .*\n(?:\|.*\n)+", re.MULTILINE)
_UNITS = ((86400, "d"), (3600, "h"), (60, "m"))


def verbs(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its name; those of a group as two words, such as ``store status``."""
    for name, command in sorted(group.commands.items()):  # they are in the order of imports
        if isinstance(command, click.Group):
            yield from verbs(command, f"{prefix}{name} ")
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{prefix}{name}", command


def with_verbs(page: str) -> str:
    """Return the page of verbs with each one's sentence, examples and options as `--help` has them."""
    for verb, command in verbs(cli):
        page = _replace_below(page, verb, lambda body, verb=verb, command=command: _verb(body, verb, command))
    return page


def with_settings(page: str) -> str:
    """Return the page of settings with each section's keys as the program reads them."""
    for name, kind in (("[gate]", Gate), ("[predictions]", Predictions)):
        page = _replace_below(page, f"[{name}]", lambda body, kind=kind: _with_table(body, _keys(kind)))
    for name in Settings.__struct_fields__:
        kind = type(getattr(Settings(), name))
        if issubclass(kind, SettingsSection):
            page = _replace_below(page, f"[{name}]", lambda body, n=name, kind=kind: _with_table(body, _keys(kind, n)))
    return page


def _replace_below(page: str, heading: str, new: Any) -> str:
    """Return the page with another text below a heading of the second level."""
    before, found, rest = page.partition(f"\n## {heading}\n")
    if not found:
        raise ValueError(f"The page has no heading '## {heading}'.")
    body, following, after = rest.partition("\n## ")
    return before + found + new(body) + following + after


def _verb(body: str, verb: str, command: click.Command) -> str:
    first = (command.help or "").partition("\n\n")[0].replace("\n", " ")
    lines = (command.epilog or "").partition("Examples:\n")[2].splitlines()
    shown = "".join(f"{line.strip()}\n" for line in lines)
    prose = re.sub(r"\A\n.*\n(?:\n```sh\n(?:mlbutler .*\n)+```\n)?", "", body)
    options = [option for option in command.params if isinstance(option, click.Option) and option.name not in COMMON]
    table = _table(("option", "meaning", "environment variable"), [_option(verb, option) for option in options])
    return _with_table(f"\n{first}\n\n```sh\n{shown}```\n{prose}", table if options else "")


def _with_table(body: str, table: str) -> str:
    """Return a section's text with this table in place of its own; without one at the end of its first part."""
    if _TABLE.search(body):
        return _TABLE.sub(lambda found: table, body, count=1)
    first, found, rest = body.partition("\n### ")
    return f"{first.rstrip()}\n\n{table}{found}{rest}" if table else body


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    first, *others = ["|".join(("", *(f" {cell} " for cell in line), "")) for line in (head, *rows)]
    return "".join(f"{line}\n" for line in (first, f"|{'---|' * len(head)}", *others))


def _option(verb: str, option: click.Option) -> tuple[str, ...]:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    value = f" `{option.metavar}`" if option.metavar and not option.is_flag else ""
    choices = option.type.choices if isinstance(option.type, click.Choice) and not option.metavar else ()
    among = f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""
    own = f"MLBUTLER_{verb}_{option.name}".upper().replace(" ", "_").replace("-", "_")
    further = f", or `{option.envvar}` for all" if isinstance(option.envvar, str) else ""
    variable = f"`{own}`{further}" if option.show_envvar else f"none: `{own}` is not read"
    return (_cell(names + value), _cell(f"{option.help}{among}"), variable)


def _keys(kind: type[SettingsSection], section: str = "") -> str:
    hints = get_type_hints(kind, include_extras=True)
    rows = []
    for key, field in kind.keys().items():
        hint = hints[field.name]
        choices = _choices(hint)
        told = all(f"'{choice}'" in _about(hint) for choice in choices)
        meaning = _about(hint) + ("" if told else f": {', '.join(f'`{choice}`' for choice in choices)}")
        row = (f"`{key}`", _default(field.default), _cell(meaning))
        rows.append((*row, f"`MLBUTLER_{section}_{key}`".upper()) if section else row)
    return _table(("key", "default", "meaning", *(("environment variable",) if section else ())), rows)


def _about(hint: Any) -> str:
    """Return what `about` says of a setting, beside its type or within it."""
    said = [
        data.description for data in getattr(hint, "__metadata__", ()) if isinstance(data, Meta) and data.description
    ]
    return said[-1] if said else next((text for part in get_args(hint) if (text := _about(part))), "")


def _choices(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(choice for part in get_args(hint) for choice in _choices(part))


def _default(value: Any) -> str:
    if value is NODEFAULT:
        return "required"
    if value is None or value == "":
        return "unset"
    if isinstance(value, tuple):
        return ", ".join(f"`{one}`" for one in value) or "none"
    if isinstance(value, int) and value >= 1 << 30 and value % (1 << 30) == 0:
        return f'`"{value >> 30}GB"`'
    if isinstance(value, float) and value >= 60:
        size, unit = next((size, unit) for size, unit in _UNITS if value % size == 0)
        return f'`"{value / size:g}{unit}"`'
    return f"`{str(value).lower()}`" if isinstance(value, bool) or not isinstance(value, str) else f'`"{value}"`'


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*") if "`" not in text else text.replace("|", "\\|")


if __name__ == "__main__":
    for name, made in (("steps.md", with_verbs), ("settings.md", with_settings)):
        page = DOCS / name
        page.write_text(made(page.read_text(encoding="utf-8")), encoding="utf-8")
