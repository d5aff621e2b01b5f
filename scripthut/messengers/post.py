"""Messages that are one HTTP request: ntfy, Slack's JSON, and signed webhooks."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from scripthut import __version__
from scripthut.config import Ntfy, Slack, Webhook
from scripthut.core.errors import Refused, Unreachable
from scripthut.core.happenings import Message, What
from scripthut.messengers.base import SECONDS, secret

SLACK_TEXT = 2900  # characters of a block; Slack refuses 3,000
PICTURE = 256 * 1024  # bytes of a picture that a webhook's JSON carries
PRIORITY: Mapping[What, str] = {What.FAILED: "high", What.STALLED: "high"}
TAGS: Mapping[What, str] = {
    What.COMPLETED: "white_check_mark",
    What.FAILED: "x",
    What.CANCELLED: "no_entry_sign",
    What.FIRST_FAILURE: "warning",
    What.STALLED: "question",
}
LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


class _NoRedirect(HTTPRedirectHandler):
    """What was meant for one address, with its secrets, goes to no other."""

    def redirect_request(self, *_args: object) -> None:
        return None


_OPENER = build_opener(_NoRedirect)


class NtfyMessenger:
    """A topic of ntfy; the picture is the message's attachment."""

    def __init__(self, channel: Ntfy) -> None:
        """Connect to nothing yet."""
        self._channel = channel

    def send(self, message: Message) -> None:
        """Publish to the topic."""
        headers = {"Title": " ".join(message.title.split()), "Tags": TAGS[message.what]}
        headers["Priority"] = PRIORITY.get(message.what, "default")
        if message.link is not None:
            headers["Click"] = message.link
        token = secret(self._channel.token_file)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        body = message.text.encode()
        if message.picture is not None:
            headers |= {"Filename": message.picture.name, "Message": message.text}
            body = message.picture.data
        _post(self._channel.url, body, {name: _header(v) for name, v in headers.items()})


class SlackMessenger:
    """An incoming webhook that takes Slack's JSON."""

    def __init__(self, channel: Slack) -> None:
        """Read nothing yet."""
        self._channel = channel

    def send(self, message: Message) -> None:
        """Write into the channel."""
        text = _slack(message.text)
        title = f"<{message.link}|{_slack(message.title)}>" if message.link else message.title
        blocks = [_section(f"*{title}*"), _section(text[:SLACK_TEXT])]
        said = {"text": message.title, "blocks": blocks}
        url = secret(self._channel.url_file) or ""
        _post(url, json.dumps(said).encode(), {"Content-Type": "application/json"})


class WebhookMessenger:
    """An address of somebody's own: JSON, and a signature over its bytes."""

    def __init__(self, channel: Webhook) -> None:
        """Read nothing yet."""
        self._channel = channel

    def send(self, message: Message) -> None:
        """Post the message; `X-Scripthut-Signature` is over the time, a dot and the body."""
        body = json.dumps(told(message)).encode()
        sent = str(int(message.at.timestamp()))
        headers = {"Content-Type": "application/json", "X-Scripthut-Delivery": message.ident}
        headers["X-Scripthut-Event"] = f"run.{message.what.value}"
        headers["X-Scripthut-Time"] = sent
        key = secret(self._channel.secret_file)
        if key is not None:
            headers["X-Scripthut-Signature"] = f"sha256={signature(key, sent, body)}"
        _post(self._channel.url, body, headers)


def told(message: Message) -> dict[str, object]:
    """A message as JSON."""
    picture = message.picture
    return {
        "event": f"run.{message.what.value}",
        "delivery": message.ident,
        "at": message.at.isoformat(),
        "title": message.title,
        "run": {
            "id": message.run_id,
            "name": message.run,
            "backend": message.backend,
            "url": message.link,
            "elapsed_seconds": message.elapsed,
            "tasks": {state.value: count for state, count in message.counts.items()},
        },
        "failures": [{"task_id": key, "reason": reason} for key, reason in message.failures],
        "summary": message.summary,
        "picture": None
        if picture is None or len(picture.data) > PICTURE
        else {
            "name": picture.name,
            "type": picture.kind,
            "base64": base64.b64encode(picture.data).decode("ascii"),
        },
    }


def signature(key: str, sent: str, body: bytes) -> str:
    """HMAC-SHA256 over `sent` (seconds since 1970), a dot and the body, in hexadecimal.

    >>> signature("key", "1700000000", b"{}")[:16]
    '9d713ed406bb7076'
    """
    return hmac.new(key.encode(), f"{sent}.".encode() + body, hashlib.sha256).hexdigest()


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise Refused("The address to write to does not begin with http:// or https://.")
    host = urlsplit(url).hostname
    agent = {"User-Agent": f"scripthut/{__version__}"}
    request = Request(url, body, {**agent, **headers}, method="POST")  # noqa: S310 - see above
    try:
        with _OPENER.open(request, timeout=SECONDS) as answer:
            answer.read(1024)
    except HTTPError as error:
        with error:
            words = error.read(300).decode("utf-8", "replace").strip()
        is_later = error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code in LATER
        kind = Unreachable if is_later else Refused
        raise kind(f"{host} answered {error.code} {error.reason} {words}".strip()) from error
    except (URLError, HTTPException, OSError) as error:
        raise Unreachable(f"{host} cannot be asked: {getattr(error, 'reason', error)}") from error


def _header(text: str) -> str:
    """A text that any header can carry (RFC 2047, which ntfy reads)."""
    line = text.replace("\n", "\\n")
    if line.isascii() and line.isprintable():
        return line
    return f"=?UTF-8?B?{base64.b64encode(line.encode()).decode('ascii')}?="


def _slack(text: str) -> str:
    """A text in which nothing is markup of Slack's: no mention, no link of somebody else's."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(text: str) -> dict[str, object]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}
