"""E-mail: plain text, and HTML with the picture inside."""

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from html import escape

from scripthut.config import Mail
from scripthut.core.errors import Refused, Unreachable
from scripthut.core.happenings import Message, Picture
from scripthut.messengers.base import SECONDS, secret

_STYLE = (
    "body{font:15px/1.5 sans-serif;color:#1d2129;max-width:44rem}"
    "table{border-collapse:collapse}td,th{border:1px solid #d0d5dd;padding:.2rem .6rem}"
    "img{max-width:100%}code,pre{font-family:monospace}.failed{color:#b42331}"
)


class MailMessenger:
    """Mail by an SMTP server."""

    def __init__(self, channel: Mail) -> None:
        """Connect to nothing yet."""
        self._channel = channel

    def send(self, message: Message) -> None:
        """Send one mail to all who are named."""
        channel = self._channel
        try:
            with self._connected() as server:
                password = secret(channel.password_file)
                if channel.user is not None:
                    server.login(channel.user, password or "")
                server.send_message(mail(message, channel.sender, channel.to))
        except smtplib.SMTPResponseException as error:
            words = f"The mail server {channel.host} said: {error.smtp_code} {_said(error)}"
            kind = Unreachable if error.smtp_code < 500 else Refused
            raise kind(words) from error
        except smtplib.SMTPRecipientsRefused as error:
            refused = ", ".join(error.recipients)
            raise Refused(f"The mail server {channel.host} takes no mail for {refused}.") from error
        except (OSError, smtplib.SMTPException) as error:
            raise Unreachable(f"The mail server {channel.host} cannot be asked: {error}") from error

    def _connected(self) -> smtplib.SMTP:
        channel = self._channel
        if channel.tls == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(channel.host, channel.port, timeout=SECONDS, context=context)
        server = smtplib.SMTP(channel.host, channel.port, timeout=SECONDS)
        if channel.tls == "starttls":
            server.starttls(context=ssl.create_default_context())
        return server


def mail(message: Message, sender: str, to: list[str]) -> EmailMessage:
    """A message as a mail. A header's line breaks, which a run's name may hold, are spaces."""
    made = EmailMessage()
    made["Subject"] = " ".join(message.title.split())
    made["From"], made["To"] = sender, ", ".join(to)
    made["Date"] = format_datetime(message.at)
    made["Message-ID"] = f"<{message.ident}@{make_msgid().rpartition('@')[2]}"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(message.text)
    made.add_alternative(_page(message), subtype="html")
    if message.picture is not None:
        _attach(made, message.picture)
    return made


def _page(message: Message) -> str:
    failed = "".join(
        f'<li><b>{escape(key)}</b>: <span class="failed">{escape(reason)}</span></li>'
        for key, reason in message.failures
    )
    address = escape(message.link or "")
    link = f'<p><a href="{address}">{address}</a></p>' if address else ""
    picture = message.picture
    is_shown = picture is None or "cid:picture" in message.html
    image = "" if is_shown or picture is None else '<p><img src="cid:picture" alt="A plot"></p>'
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><style>{_STYLE}</style></head><body>'
        f"<h2>{escape(message.title)}</h2>"
        f"<p>{escape(message.states)} on {escape(message.backend)}</p>"
        f"{f'<ul>{failed}</ul>' if failed else ''}{link}"
        f"{message.html}{image}</body></html>"
    )


def _attach(made: EmailMessage, picture: Picture) -> None:
    page = made.get_payload()[-1]  # type: ignore[index]
    kind, _, sub = picture.kind.partition("/")
    page.add_related(  # type: ignore[union-attr]
        picture.data, kind, sub, cid="<picture>", filename=picture.name, disposition="inline"
    )


def _said(error: smtplib.SMTPResponseException) -> str:
    words = error.smtp_error
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
