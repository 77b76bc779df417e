"""The environment that a step gives to the project's own code, and the names of withheld variables."""

from __future__ import annotations

from mlbutler.frozen import frozen
from mlbutler.held_back import held_back_names
from mlbutler.process import project_environment
from mlbutler.reproduce.pass_environment import allowed_names
from mlbutler.steps.context import RunContext

_SHOWN = 12


@frozen
class GivenEnvironment:
    """Hold `environ` for the project's code, and in `held_back` the names of variables that it does not get."""

    environ: dict[str, str]
    held_back: tuple[str, ...]

    @property
    def hint(self) -> str:
        """Return what to do when a variable is missing, '' where none was withheld."""
        if not self.held_back:
            return ""
        more = len(self.held_back) - _SHOWN
        named = ", ".join(self.held_back[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        return f"Held back from it: {named}; what it needs of these belongs in reproduce.pass_environment."


def given_environment(context: RunContext) -> GivenEnvironment:
    """Return the environment of this run's stages, tests and linters; --verbose shows which variables are withheld."""
    names = passed_variables(context)
    held = held_back_names(context.environ, names) if context.trust.given_up is None else context.trust.given_up
    if held:
        context.console.detail(f"Held back from the project's code: {', '.join(held)}")
    return GivenEnvironment(project_environment(context.environ, names), held)


def passed_variables(context: RunContext) -> tuple[str, ...]:
    """Return the names of the variables that the project's code is given whatever they hold."""
    return tuple(allowed_names(
        context.loaded, context.record.change, context.trust.target_revisions,
        lambda revision, name: context.git.show(revision, f"{context.prefix}{name}"),
    ))  # fmt: skip
