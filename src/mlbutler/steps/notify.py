"""The message to a webhook, after each run or when the verdict changes."""

from __future__ import annotations

from mlbutler.record import Outcome
from mlbutler.state.hints import Hints
from mlbutler.steps.context import RunContext
from mlbutler.steps.reviewers import STATES, record_to_publish

_WORD_LIMIT = 40


def notify_webhook(context: RunContext) -> str:
    """Notify the webhook, where there is one; return in words what happened, '' without a webhook.

    A fork's run has no webhook, as it has no other secret. The verdicts of earlier runs are hints in the mirror and the
    project's folder; where none is known, the verdict counts as changed.

    Raises:
        SettingsError, ForgeError: the webhook's address is invalid, or it did not accept the message.
    """
    from mlbutler.forge.webhook import Message, send_webhook
    from mlbutler.report import build, headline
    from mlbutler.variables import WEBHOOK

    url = context.environ.get(WEBHOOK, "").strip()
    if not url or not context.trusted:
        return ""
    change = context.record.change
    record = record_to_publish(context, change)
    said = headline.headline(record)
    hints = Hints("verdicts", context.root, context.mirror, change.repository, context.prefix)
    key = f"pull request {change.number}" if change.number else f"branch {change.head_branch or change.head}"
    key += f" ({record.report_name})" if record.report_name else ""
    previous = str(hints.read().get(key, ""))[:_WORD_LIMIT]
    interrupted = headline.outcome(record) is Outcome.INTERRUPTED
    if context.settings.notify.on == "verdict-change":
        if interrupted:
            return "interrupted: there is no verdict, nobody was notified"
        if previous == said.word:
            return "the verdict is as before, nobody was notified"
    message = Message(
        title=build.title(record),
        change=record.change,
        state=STATES[headline.outcome(record)],
        verdict=said.word,
        sentence=said.sentence,
        previous=previous,
    )
    send_webhook(url, context.settings.notify.form, message, context.environ, context.console.line)
    if not interrupted:
        hints.write({key: said.word})  # only now: a message that failed is sent the next time
    return "the webhook was notified"
