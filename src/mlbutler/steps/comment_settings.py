"""Find the settings of a pull request's comment: those that the team agreed on, not the pull request's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mlbutler.record import CompareResult, Outcome, Record, Verdict
from mlbutler.settings import CommentSettings, LoadedSettings, settings_at
from mlbutler.steps.context import RunContext

if TYPE_CHECKING:
    from mlbutler.report.layout import Layout

_GIVEN = "MLBUTLER_"
_LONGEST_TEMPLATE = 200_000


def agreed_comment_settings(context: RunContext) -> CommentSettings:
    """Return the settings of the target branch for a pull request, else the project's own.

    What the agent's environment says counts in any case.
    """
    own = context.settings.comment
    if context.record.change.kind != "pull-request":
        return own
    found = settings_at(lambda name: _target_file(context, name))
    there = found.comment if found is not None else CommentSettings()
    given = [key for key in CommentSettings.__struct_fields__ if _is_given(context.loaded, key)]
    return msgspec.structs.replace(there, **{key: getattr(own, key) for key in given})


def layout(context: RunContext) -> Layout:
    """Return how the team wants the comment; a template is read from the target branch."""
    from mlbutler.report.layout import Layout

    settings = agreed_comment_settings(context)
    template = _template(context, settings.template) if settings.template else ""
    return Layout(settings.title or "", settings.sections, template)


def _template(context: RunContext, path: str) -> str:
    """Return the template's text; that it cannot be read is said, and the usual form taken."""
    if context.record.change.kind == "pull-request":
        content = _target_file(context, path)
    else:
        content = context.git.show("HEAD", context.prefix + path)
    if content is None:
        context.console.line(f"There is no template {path} on the target branch: the comment has its usual form.")
        return ""
    return content[:_LONGEST_TEMPLATE].decode("utf-8", "replace")


def is_wanted(settings: CommentSettings, record: Record) -> bool:
    """Return whether there is to be a comment where there is none yet."""
    if settings.when == "always":
        return True
    from mlbutler.report.headline import outcome

    if outcome(record) not in (Outcome.PASSED, Outcome.SKIPPED):
        return True
    return settings.when == "change" and record.compare is not None and _differs(record.compare)


def _differs(compare: CompareResult) -> bool:
    """Return whether anything that is compared is another than in the target."""
    metrics = any(metric.verdict is not Verdict.SAME for metric in compare.metrics)
    plots = any(plot.changed is not False for plot in compare.plots)
    examples = any(change.broken or change.fixed for change in compare.predictions)
    return metrics or plots or examples or bool(compare.params or compare.data or compare.stages)


def _target_file(context: RunContext, path: str) -> bytes | None:
    """Return a file of the target branch by its path from the project's root, None where there is none."""
    revisions = context.agreed_at
    return context.git.show(revisions[0], context.prefix + path) if revisions else None


def _is_given(loaded: LoadedSettings, key: str) -> bool:
    return loaded.sources.get(f"comment.{key}", "").startswith(_GIVEN)
