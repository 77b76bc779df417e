"""Post a message to a webhook when a run has ended: JSON, or the form that Slack and similar services take.

The webhook's address is a secret: anybody who knows it can write there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit, urlunsplit

from mlbutler.errors import SettingsError
from mlbutler.escape import escape_invisible, web_address
from mlbutler.forge.http import Api, ApiOptions, ApiRetryPolicy
from mlbutler.forge.interface import CommitStatus
from mlbutler.frozen import frozen_by_name
from mlbutler.record import Change
from mlbutler.variables import WEBHOOK

_TEXT_LIMIT = 600


class Sendable(Protocol):
    """Describe what a webhook can be sent."""

    def json(self) -> dict[str, Any]:
        """Return it as a document."""
        ...

    def slack(self) -> dict[str, Any]:
        """Return it in the form that Slack takes."""
        ...


@frozen_by_name
class Message:
    """What the webhook is sent.

    Attributes:
        title: which report it is. verdict: its word. previous: the word of the run before, '' when it is not known.
    """

    title: str
    change: Change
    state: CommitStatus
    verdict: str
    sentence: str
    previous: str

    def json(self) -> dict[str, Any]:
        """Return it as a document."""
        change = self.change
        names = ("number", "title", "author", "url", "head", "head_branch", "target_branch", "repository", "fork")
        return {
            "schema": 1,
            "title": self.title,
            "state": self.state.value,
            "verdict": self.verdict,
            "previous": self.previous,
            "sentence": self.sentence,
            "build_url": change.build_url,
            "change": {name: getattr(change, name) for name in names},
        }

    def slack(self) -> dict[str, Any]:
        """Return it as one line with links.

        Slack's own markup is escaped, and so are mentions, which begin with ``<``.
        """
        change = self.change
        what = f"pull request {change.number}" if change.number else change.head_branch or change.head[:8]
        named = for_slack(f"{what}: {change.title}" if change.title else what)
        subject = f"<{address}|{named}>" if (address := _address(change.url)) else named
        before = f" (was {self.previous.lower()})" if self.previous and self.previous != self.verdict else ""
        build = f" <{address}|the build>" if (address := _address(change.build_url)) else ""
        verdict = f"*{for_slack(self.verdict)}*{for_slack(before)}" + (
            f": {for_slack(self.sentence)}" if self.sentence else ""
        )
        return {"text": f"{for_slack(self.title)}, {subject}: {verdict}{build}"}


def send_webhook(
    url: str,
    form: Literal["json", "slack"],
    message: Sendable,
    environ: Mapping[str, str],
    say: Callable[[str], None] | None = None,
    policy: ApiRetryPolicy | None = None,
) -> None:
    """Post `message` to the webhook.

    Raises:
        SettingsError: it is no address. ForgeError: it did not take the message.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{WEBHOOK} is not an address.", f"Set {WEBHOOK} to the webhook's https address.")
    base = urlunsplit(parts._replace(path="", query="", fragment=""))
    api = Api(
        "The webhook", base, headers={}, secret={}, remedy=f"Check {WEBHOOK}.",
        options=ApiOptions(environ, policy or ApiRetryPolicy(), say, discreet=True),
    )  # fmt: skip
    api.send("POST", url, json=message.slack() if form == "slack" else message.json(), again=True)


def for_slack(text: str) -> str:
    """Return text in which nothing is Slack's markup, a mention or a link."""
    text = escape_invisible(text, _TEXT_LIMIT).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("@", "@\u200b")  # Mattermost takes a bare @channel for a mention


def _address(url: str) -> str:
    return (web_address(url) or "").replace("|", "%7C").replace("&", "&amp;")
