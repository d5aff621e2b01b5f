"""A client of a running server's JSON: what it is asked, and its refusals as sentences."""

import json
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from netrc import NetrcParseError, netrc
from pathlib import Path
from socket import gaierror
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import Request, urlopen

import click

from scripthut.core.errors import Invalid, Refused, Unreachable
from scripthut.ids import new_holder

TIMEOUT = 60.0  # seconds; a document of ten thousand tasks takes some
TRIES = 4  # of a start whose answer was lost: its key keeps it from being a second run
PAUSE = 1.0  # seconds between them
GATEWAY = frozenset({502, 503, 504})  # what a proxy says of a server that is away
HEADERS = "scripthut.headers"  # in click's context: what goes with every question
PIECE = 256 * 1024  # bytes written at a time


def word(text: str) -> str:
    """A run's or task's id as a part of an address."""
    return quote(text, safe="")


class Unanswered(Unreachable):
    """No answer came; whether the question arrived is in `may_have_arrived`."""

    def __init__(self, said: str, may_have_arrived: bool) -> None:
        super().__init__(said)
        self.may_have_arrived = may_have_arrived


class Client:
    """The server at `base`. Every call may raise Unreachable, or Refused with its words."""

    def __init__(self, base: str, timeout: float = TIMEOUT) -> None:
        """Raises Refused when `base` is no address. `timeout` in seconds."""
        self.base = base.rstrip("/")
        self.timeout = timeout
        if not self.base.startswith(("http://", "https://")):
            raise Refused(f"{base!r} is not a server's address: it begins with http:// or https://")

    def get(self, path: str) -> dict[str, Any]:
        """The JSON at a path below /api/v1."""
        return self._json(self._ask(path))

    def post(self, path: str, body: object) -> dict[str, Any]:
        """What the server answers to JSON that is sent to a path below /api/v1."""
        return self._json(self._ask(path, json.dumps(body).encode()))

    def start(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        """Have something started, once, whatever becomes of the answers.

        A question whose answer was lost is asked again with the same key.
        """
        asked = json.dumps({**body, "request_key": new_holder()}).encode()
        is_lost = False
        for _ in range(TRIES - 1):
            try:
                return self._json(self._ask(path, asked))
            except Unanswered as error:
                is_lost = is_lost or error.may_have_arrived
                if not is_lost:
                    raise
            time.sleep(PAUSE)
        return self._json(self._ask(path, asked))

    def delete(self, path: str) -> dict[str, Any]:
        """What the server answers when something is to go."""
        return self._json(self._ask(path, b"{}", "DELETE"))

    def save(self, path: str, file: Path) -> int:
        """Write what is at a path below /api/v1, or at an address the server gave, to a file.

        Says how many bytes. The file is whole or not there.
        """
        part = file.with_name(f".{file.name[:200]}.part")
        try:
            with part.open("wb") as target:
                self._copy(path, target.write)
            size = part.stat().st_size
            part.replace(file)
        except OSError as error:
            raise Refused(f"{file} cannot be written: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)
        return size

    def copy(self, path: str, write: Callable[[bytes], object]) -> None:
        """Hand what is at a path on, piece by piece."""
        self._copy(path, write)

    def page(self, run_id: str) -> str:
        """The address of a run's page."""
        return f"{self.base}/runs/{word(run_id)}"

    def _copy(self, path: str, write: Callable[[bytes], object]) -> None:
        """Go on where a cut connection ended, as long as each one brings something."""
        state = _Download()
        while True:
            before = state.done
            try:
                self._continue(path, state, write)
                return
            except HTTPError as error:
                raise self._refusal(error) from error
            except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
                if state.done == before or state.tag is None:
                    raise self._silence(error) from error

    def _continue(self, path: str, state: "_Download", write: Callable[[bytes], object]) -> None:
        request = self._request(path)
        if state.done and state.tag is not None:
            request.add_header("Range", f"bytes={state.done}-")
            request.add_header("If-Range", state.tag)
        with urlopen(request, timeout=self.timeout) as answer:  # noqa: S310 - see __init__
            if state.done and answer.status != HTTPStatus.PARTIAL_CONTENT:
                raise Refused("the file has changed while it was downloaded: ask for it again")
            length = answer.headers.get("Content-Length")
            wanted = None if length is None else state.done + int(length)
            state.tag = answer.headers.get("ETag")
            while piece := answer.read(PIECE):
                write(piece)
                state.done += len(piece)
        if wanted is not None and state.done < wanted:
            raise ConnectionError("the connection was cut")

    def _ask(self, path: str, body: bytes | None = None, method: str | None = None) -> bytes:
        try:
            request = self._request(path, body, method)
            with urlopen(request, timeout=self.timeout) as answer:  # noqa: S310 - see __init__
                found: bytes = answer.read()
        except HTTPError as error:
            raise self._refusal(error) from error
        except (URLError, OSError, HTTPException) as error:
            raise self._silence(error) from error
        return found

    def _request(self, path: str, body: bytes | None = None, method: str | None = None) -> Request:
        is_whole = path.startswith(("/", "http://", "https://"))
        address = urljoin(self.base, path) if is_whole else f"{self.base}/api/v1/{path}"
        if urlsplit(address).netloc != urlsplit(self.base).netloc:
            raise Unreachable(f"what answers at {self.base} is not a scripthut server")
        headers = {"Accept": "application/json", **_password(self.base), **_access()}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return Request(address, data=body, headers=headers, method=method)  # noqa: S310

    def _json(self, body: bytes) -> dict[str, Any]:
        found = _object(body)
        if not found:
            raise Unreachable(f"what answers at {self.base} is not a scripthut server")
        return found

    def _silence(self, error: Exception) -> Unreachable:
        why = error.reason if isinstance(error, URLError) else error
        return Unanswered(
            f"no server answers at {self.base} ({why}): start one with `scripthut serve` or "
            "`scripthut daemon start`, or name another with --server",
            not isinstance(why, ConnectionRefusedError | gaierror),
        )

    def _refusal(self, error: HTTPError) -> Refused | Unreachable:
        said = _object(error.read())
        if "error" not in said and error.code in GATEWAY:
            return Unanswered(f"no server answers behind {self.base} (HTTP {error.code})", True)
        problems = said.get("problems")
        if isinstance(problems, list) and problems:
            what = str(said.get("error", "the server refused")).rstrip(".")
            return Invalid(what, [str(p) for p in problems])
        if error.code == HTTPStatus.UNAUTHORIZED:
            return Refused(f"{self.base} asks for a name and a password: put them in ~/.netrc")
        if "error" in said:
            return Refused(f"the server at {self.base} refused: {said['error']}")
        what = f"what answers at {self.base} is not a scripthut server (HTTP {error.code})"
        return Unreachable(what)


@dataclass
class _Download:
    """How far one is; `tag` None: the server cannot go on with it from there."""

    done: int = 0
    tag: str | None = None


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


def _access() -> Mapping[str, str]:
    """The headers that the server's gate wants to see of the command that runs."""
    context = click.get_current_context(silent=True)
    found: Mapping[str, str] = context.meta.get(HEADERS, {}) if context else {}
    return found


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
