"""Send an e-mail by SMTP. The server is the environment's: a project's settings send no password anywhere."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from urllib.parse import urlsplit

from mlbutler.errors import ForgeError, SettingsError
from mlbutler.escape import escape_invisible
from mlbutler.variables import SMTP_PASSWORD, SMTP_URL, SMTP_USER

_PORTS = {"smtp": 587, "smtps": 465}
_TIMEOUT = 30.0
_HERE = ("localhost", "127.0.0.1", "::1")
_SUBJECT = 200


def send_mail(to: Sequence[str], sender: str | None, subject: str, text: str, environ: Mapping[str, str]) -> None:
    """Send an e-mail by the server in `SMTP_URL`, encrypted wherever a password is sent to another machine.

    Args:
        sender: its address; the user's, or the first receiver's, if None.

    Raises:
        SettingsError: the server's address is none, or an address holds a line break.
        ForgeError: the server cannot be reached, or did not take it.
    """
    parts = urlsplit(environ.get(SMTP_URL, ""))
    if parts.scheme not in _PORTS or not parts.hostname or "@" in parts.netloc:
        raise SettingsError(
            f"{SMTP_URL} is not the address of a mail server.",
            f"Write it as smtp://host:587 or smtps://host:465; user and password are {SMTP_USER} and {SMTP_PASSWORD}.",
        )
    user, password = environ.get(SMTP_USER, ""), environ.get(SMTP_PASSWORD, "")
    message = EmailMessage()
    try:
        message["From"] = sender or (user if "@" in user else to[0])
        message["To"] = ", ".join(to)
        message["Subject"] = escape_invisible(subject, _SUBJECT)
    except ValueError as error:
        raise SettingsError(
            f"An e-mail's address is invalid: {error}", "Fix notify.mail_to or notify.mail_from."
        ) from error
    message.set_content(text)
    host, port = parts.hostname, parts.port or _PORTS[parts.scheme]
    try:
        _deliver(message, host, port, (user, password), encrypted=parts.scheme == "smtps")
    except (OSError, smtplib.SMTPException) as error:
        raise ForgeError(
            f"The mail server {host}:{port} did not take the message: {_describe_error(error)}",
            f"Check {SMTP_URL}, {SMTP_USER} and {SMTP_PASSWORD}.",
        ) from error


def _deliver(message: EmailMessage, host: str, port: int, login: tuple[str, str], *, encrypted: bool) -> None:
    context = ssl.create_default_context()
    if encrypted:
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_TIMEOUT, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=_TIMEOUT)
    with server:
        server.ehlo_or_helo_if_needed()
        if not encrypted and server.has_extn("starttls"):
            server.starttls(context=context)
            encrypted = True
        if login[1]:
            if not encrypted and host not in _HERE:
                raise smtplib.SMTPException("it offers no encryption, so that the password was not sent")
            server.login(*login)
        server.send_message(message)


def _describe_error(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        answer = error.smtp_error
        return f"{error.smtp_code} {answer.decode('utf-8', 'replace') if isinstance(answer, bytes) else answer}"
    return str(error) or type(error).__name__
