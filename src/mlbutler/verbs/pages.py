"""Help beyond `--help`: the documentation in the terminal, and completion in the shell."""

from __future__ import annotations

from typing import Any

import click

from mlbutler.verbs.options import cli, common, verb


@verb("help", "mlbutler help", "mlbutler help settings", "mlbutler help plan", "mlbutler help mirror | less",
      short="Show a page of the documentation, or a verb's help.")  # fmt: skip
@click.argument("topic", required=False)
@common
def show_help(directory: object, console: Any, topic: str | None) -> int:
    """Show a page of the documentation or the help of a verb; without TOPIC, which pages there are."""
    from mlbutler import pages
    from mlbutler.commands.help import show

    if topic is not None and topic in cli.commands and topic not in pages.pages_by_topic():
        parent = click.get_current_context().parent
        click.echo(cli.commands[topic].get_help(click.Context(cli.commands[topic], parent, topic)))
        return 0
    return show(console, topic)


@verb("completion", "mlbutler completion bash --install", "mlbutler completion zsh > _mlbutler")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.option("--install", is_flag=True, show_envvar=True, help="Write it where the shell looks for this user.")
@common
def completion(directory: object, console: Any, shell: str, install: bool) -> int:
    """Print what SHELL needs to complete verbs and options."""
    from mlbutler.commands.completion import completion

    return completion(console, cli, shell, install=install)
