"""Messages as they arrive: by mail, at ntfy, in a Slack channel, at a webhook."""

import base64
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.header import decode_header
from email.message import EmailMessage
from hashlib import sha256
from pathlib import Path

import pytest

from scripthut.config import parse
from scripthut.core.errors import Invalid, Refused, Unreachable
from scripthut.core.happenings import Message, Picture, What
from scripthut.core.states import State
from scripthut.messengers import Messenger, build
from tests.messengers.receivers import Mailbox, Site, mailbox, site

MESSAGE = Message(
    what=What.FAILED,
    ident="scripthut-abcdefgh-7",
    run_id="abcdefgh",
    run="climate/größe <sweep>",
    backend="hpc",
    counts={State.COMPLETED: 497, State.FAILED: 3},
    at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    elapsed=4000.0,
    link="https://hut.example.org/runs/abcdefgh",
    failures=(("sim.0001", "Ended with exit code 3"), ("sim.0002", "Out of memory")),
    summary="# Fit\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    html="<h1>Fit</h1><table><tr><td>1</td></tr></table>",
    picture=Picture("fit.png", "image/png", b"\x89PNG\r\n\x1a\nrest"),
)


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as found:
        yield found


@pytest.fixture
def there() -> Iterator[Site]:
    with site() as found:
        yield found


def channel(kind: str, **facts: object) -> Messenger:
    return build(parse({"notifications": [{"name": "me", "type": kind, **facts}]}).notifications[0])


def part(mail: EmailMessage, kind: str) -> EmailMessage:
    found = [one for one in mail.walk() if one.get_content_type() == kind]
    assert len(found) == 1
    assert isinstance(found[0], EmailMessage)
    return found[0]


def test_a_mail_holds_the_summary_and_the_plot(box: Mailbox) -> None:
    channel("mail", to=["ada@example.org", "bob@example.org"], port=box.port).send(MESSAGE)
    [mail] = box.mails
    assert mail["Subject"] == "✗ climate/größe <sweep> failed: 3 of 500 tasks failed"
    assert mail["To"] == "ada@example.org, bob@example.org"
    assert str(mail["Message-ID"]).startswith("<scripthut-abcdefgh-7@")
    text = part(mail, "text/plain").get_content()
    assert "- sim.0001: Ended with exit code 3" in text
    assert "https://hut.example.org/runs/abcdefgh" in text
    page = part(mail, "text/html").get_content()
    assert "<h1>Fit</h1>" in page
    assert "climate/größe &lt;sweep&gt;" in page
    assert 'src="cid:picture"' in page
    image = part(mail, "image/png")
    assert (image["Content-ID"], image.get_content()) == ("<picture>", b"\x89PNG\r\n\x1a\nrest")


def test_a_runs_name_adds_no_header_to_a_mail(box: Mailbox) -> None:
    name = "study\r\nBcc: eve@example.org"
    channel("mail", to=["ada@example.org"], port=box.port).send(replace(MESSAGE, run=name))
    [mail] = box.mails
    assert mail["Bcc"] is None
    assert "study Bcc: eve@example.org" in mail["Subject"]


@pytest.mark.parametrize(
    ("said", "error"),
    [("451 try later", Unreachable), ("550 no such user", Refused)],
    ids=["for now", "for good"],
)
def test_a_mail_server_that_refuses_is_quoted(
    box: Mailbox, said: str, error: type[Exception]
) -> None:
    box.refusal = said
    with pytest.raises(error, match=said[4:]):
        channel("mail", to=["ada@example.org"], port=box.port).send(MESSAGE)


def test_a_mail_server_that_is_not_there_is_unreachable(box: Mailbox) -> None:
    me = channel("mail", to=["ada@example.org"], port=1)
    with pytest.raises(Unreachable, match="localhost"):
        me.send(MESSAGE)


def test_ntfy_gets_the_plot_as_an_attachment(there: Site, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("tk_secret\n")
    channel("ntfy", url=f"{there.address}/hut", token_file=str(token)).send(MESSAGE)
    [post] = there.posts
    assert (post.path, post.body) == ("/hut", b"\x89PNG\r\n\x1a\nrest")
    assert post.headers["authorization"] == "Bearer tk_secret"
    assert post.headers["click"] == "https://hut.example.org/runs/abcdefgh"
    assert post.headers["priority"] == "high"
    assert post.headers["filename"] == "fit.png"
    assert decoded(post.headers["title"]) == MESSAGE.title
    assert decoded(post.headers["message"]).split("\\n")[1] == "- sim.0001: Ended with exit code 3"


def decoded(header: str) -> str:
    [(words, charset)] = decode_header(header)
    return words.decode(charset or "ascii") if isinstance(words, bytes) else words


def test_ntfy_without_a_plot_gets_the_text(there: Site) -> None:
    channel("ntfy", url=f"{there.address}/hut").send(replace(MESSAGE, picture=None))
    assert there.posts[0].body.decode() == MESSAGE.text


def test_slack_is_told_without_markup_of_a_strangers(there: Site, tmp_path: Path) -> None:
    address = tmp_path / "slack"
    address.write_text(f"{there.address}/services/T/B/x")
    evil = replace(MESSAGE, failures=(("a", "<!channel> <https://evil.example|click>"),))
    channel("slack", url_file=str(address)).send(evil)
    [post] = there.posts
    assert post.path == "/services/T/B/x"
    said = str(post.json["blocks"])
    assert "<https://hut.example.org/runs/abcdefgh|" in said
    assert "<!channel>" not in said
    assert "&lt;!channel&gt;" in said


def test_a_webhook_is_signed_over_its_time_and_bytes(there: Site, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("swordfish")
    channel("webhook", url=f"{there.address}/hook", secret_file=str(key)).send(MESSAGE)
    [post] = there.posts
    signed = post.headers["x-scripthut-time"].encode() + b"." + post.body
    expected = hmac.new(b"swordfish", signed, sha256).hexdigest()
    assert post.headers["x-scripthut-signature"] == f"sha256={expected}"
    assert post.headers["x-scripthut-delivery"] == "scripthut-abcdefgh-7"
    assert post.json["event"] == "run.failed"
    assert run_of(post.json)["tasks"] == {"completed": 497, "failed": 3}
    picture = post.json["picture"]
    assert isinstance(picture, dict)
    assert base64.b64decode(picture["base64"]).startswith(b"\x89PNG")


def run_of(body: Mapping[str, object]) -> Mapping[str, object]:
    run = body["run"]
    assert isinstance(run, dict)
    return run


@pytest.mark.parametrize(
    ("status", "error"), [(503, Unreachable), (429, Unreachable), (404, Refused), (302, Refused)]
)
def test_what_an_address_answers_decides_whether_it_is_asked_again(
    there: Site, status: int, error: type[Exception]
) -> None:
    there.status = status
    with pytest.raises(error, match=str(status)):
        channel("webhook", url=f"{there.address}/hook").send(MESSAGE)
    assert len(there.posts) == 1, "a redirect would carry the message somewhere else"


def test_a_secret_that_cannot_be_read_is_a_sentence(there: Site, tmp_path: Path) -> None:
    me = channel("webhook", url=there.address, secret_file=str(tmp_path / "gone"))
    with pytest.raises(Refused, match="gone cannot be read"):
        me.send(MESSAGE)
    assert there.posts == []


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"type": "ntfy", "url": "ftp://x"}, "notifications[0].url"),
        ({"type": "mail", "to": []}, "notifications[0].to"),
        ({"type": "webhook", "url": "http://x", "on": ["ended"]}, "notifications[0].on[0]"),
        ({"type": "pigeon"}, "notifications[0]: the type pigeon is not one of"),
    ],
    ids=["address", "nobody", "event", "kind"],
)
def test_a_channel_that_cannot_be_is_named_by_its_place(
    facts: dict[str, object], says: str
) -> None:
    with pytest.raises(Invalid) as caught:
        parse({"notifications": [{"name": "me", **facts}]})
    assert says in str(caught.value)
