"""Send a notice to whom the settings and the environment name; what goes wrong with that ends no experiment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

from mlbutler.errors import MlbutlerError
from mlbutler.experiments.notices import Notice
from mlbutler.forge import mail, webhook
from mlbutler.settings import Settings
from mlbutler.variables import SMTP_URL, WEBHOOK


def deliver_in_background(
    notice: Notice, settings: Settings, environ: Mapping[str, str], say: Callable[[str], None]
) -> None:
    """Send a notice while the caller goes on: no experiment waits for a server that does not answer.

    The process does not end before.
    """
    threading.Thread(target=deliver_notice, args=(notice, settings, environ, say)).start()


def deliver_notice(notice: Notice, settings: Settings, environ: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Send a notice to the webhook and by e-mail, as far as there are any and the settings want its event."""
    if notice.event not in settings.notify.experiments:
        return
    for send in _ways(notice, settings, environ, say):
        try:
            send()
        except MlbutlerError as error:
            say(f"{notice.title}: nobody was notified: {error.message} {error.remedy}")


def _ways(
    notice: Notice, settings: Settings, environ: Mapping[str, str], say: Callable[[str], None]
) -> Iterator[Callable[[], None]]:
    wanted = settings.notify
    if url := environ.get(WEBHOOK, "").strip():
        yield lambda: webhook.send_webhook(url, wanted.form, notice, environ, say)
    if wanted.mail_to and environ.get(SMTP_URL):
        subject = f"mlbutler: {notice.title}"
        yield lambda: mail.send_mail(wanted.mail_to, wanted.mail_from, subject, notice.text(), environ)
