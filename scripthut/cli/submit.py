"""A client of a running server: post a document, say where its run is."""

import json
import sys
from base64 import b64encode
from http import HTTPStatus
from http.client import HTTPException
from netrc import NetrcParseError, netrc
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from scripthut.core.errors import Invalid, Refused, Unreachable

SERVER = "http://127.0.0.1:8000"
TIMEOUT = 60.0  # seconds; a document of ten thousand tasks takes some


def read(file: Path) -> object:
    """The document in a file, or on standard input for `-`. Raises Invalid."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        document: object = json.loads(text)
    except OSError as error:
        raise Invalid(str(file), [f"cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise Invalid(str(file), [f"is not UTF-8 text: {error.reason}"]) from error
    except json.JSONDecodeError as error:
        raise Invalid(str(file), [f"is not JSON: {error}"]) from error
    return document


def name_of(file: Path, document: object) -> str:
    """What a run is called when nobody says: its document's title, else its file's name."""
    title = document.get("title") if isinstance(document, dict) else None
    if isinstance(title, str) and title:
        return title
    return "workflow" if str(file) == "-" else file.stem


def post(base: str, backend: str, name: str, document: object) -> str:
    """Start a run on the server at `base`; the link of its page.

    Raises Invalid when the server refuses the document, Unreachable when nothing sensible answers.
    """
    base = base.rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise Refused(f"{base!r} is not a server's address: it begins with http:// or https://")
    body = json.dumps({"backend": backend, "name": name, "document": document}).encode()
    headers = {"Content-Type": "application/json", **_password(base)}
    request = Request(f"{base}/api/v1/runs", data=body, headers=headers)  # noqa: S310 - see above
    try:
        with urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
            run = _id(response.read())
    except HTTPError as error:
        raise _refusal(base, error) from error
    except (URLError, OSError, HTTPException) as error:
        why = error.reason if isinstance(error, URLError) else error
        raise Unreachable(
            f"no server answers at {base} ({why}): start one with `scripthut serve`, "
            "or name another with --server"
        ) from error
    if run is None:
        raise Unreachable(f"what answers at {base} is not a scripthut server")
    return f"{base}/runs/{run}"


def _password(base: str) -> dict[str, str]:
    """The header that a proxy which asks for a name wants, from ~/.netrc; none without an entry."""
    try:
        known = netrc().authenticators(urlsplit(base).hostname or "")
    except OSError:
        return {}
    except NetrcParseError as error:
        raise Invalid("~/.netrc", [f"cannot be read: {error}"]) from error
    if known is None:
        return {}
    words = f"{known[0]}:{known[2]}".encode()
    return {"Authorization": f"Basic {b64encode(words).decode('ascii')}"}


def _refusal(base: str, error: HTTPError) -> Refused | Unreachable:
    said = _object(error.read())
    problems = said.get("problems")
    if isinstance(problems, list) and problems:
        return Invalid(str(said.get("error", "the server refused")), [str(p) for p in problems])
    if error.code == HTTPStatus.UNAUTHORIZED:
        return Refused(f"{base} asks for a name and a password: put them in ~/.netrc")
    if "error" in said:
        return Refused(f"the server at {base} refused: {said['error']}")
    return Unreachable(f"what answers at {base} is not a scripthut server (HTTP {error.code})")


def _id(body: bytes) -> str | None:
    found = _object(body).get("id")
    return found if isinstance(found, str) else None


def _object(body: bytes) -> dict[str, object]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
