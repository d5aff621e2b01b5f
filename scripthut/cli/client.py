"""A client of a running server's JSON: what it is asked, and its refusals as sentences."""

import json
from base64 import b64encode
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import Request, urlopen

import click

from scripthut.core.errors import Invalid, Refused, Unreachable

SERVER = "http://127.0.0.1:8000"
TIMEOUT = 60.0  # seconds; a document of ten thousand tasks takes some
PIECE = 256 * 1024  # bytes written at a time

server_option = click.option(
    "--server",
    "base",
    envvar="SCRIPTHUT_SERVER",
    default=SERVER,
    show_default=True,
    metavar="URL",
    help="The running server; else $SCRIPTHUT_SERVER.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def word(text: str) -> str:
    """A run's or task's id as a part of an address."""
    return quote(text, safe="")


class Client:
    """The server at `base`. Every call may raise Unreachable, or Refused with its words."""

    def __init__(self, base: str) -> None:
        """Raises Refused when `base` is no address."""
        self.base = base.rstrip("/")
        if not self.base.startswith(("http://", "https://")):
            raise Refused(f"{base!r} is not a server's address: it begins with http:// or https://")

    def get(self, path: str) -> dict[str, Any]:
        """The JSON at a path below /api/v1."""
        return self._json(self._ask(path))

    def post(self, path: str, body: object) -> dict[str, Any]:
        """What the server answers to JSON that is sent to a path below /api/v1."""
        return self._json(self._ask(path, json.dumps(body).encode()))

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
        request = self._request(path)
        try:
            with urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - see __init__
                while piece := answer.read(PIECE):
                    write(piece)
        except HTTPError as error:
            raise self._refusal(error) from error
        except (URLError, HTTPException, TimeoutError, ConnectionError) as error:
            raise self._silence(error) from error

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        try:
            with urlopen(self._request(path, body), timeout=TIMEOUT) as answer:  # noqa: S310
                found: bytes = answer.read()
        except HTTPError as error:
            raise self._refusal(error) from error
        except (URLError, OSError, HTTPException) as error:
            raise self._silence(error) from error
        return found

    def _request(self, path: str, body: bytes | None = None) -> Request:
        is_whole = path.startswith(("/", "http://", "https://"))
        address = urljoin(self.base, path) if is_whole else f"{self.base}/api/v1/{path}"
        if urlsplit(address).netloc != urlsplit(self.base).netloc:
            raise Unreachable(f"what answers at {self.base} is not a scripthut server")
        headers = {"Accept": "application/json", **_password(self.base)}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return Request(address, data=body, headers=headers)  # noqa: S310 - see __init__

    def _json(self, body: bytes) -> dict[str, Any]:
        found = _object(body)
        if not found:
            raise Unreachable(f"what answers at {self.base} is not a scripthut server")
        return found

    def _silence(self, error: Exception) -> Unreachable:
        why = error.reason if isinstance(error, URLError) else error
        return Unreachable(
            f"no server answers at {self.base} ({why}): start one with `scripthut serve`, "
            "or name another with --server"
        )

    def _refusal(self, error: HTTPError) -> Refused | Unreachable:
        said = _object(error.read())
        problems = said.get("problems")
        if isinstance(problems, list) and problems:
            return Invalid(str(said.get("error", "the server refused")), [str(p) for p in problems])
        if error.code == HTTPStatus.UNAUTHORIZED:
            return Refused(f"{self.base} asks for a name and a password: put them in ~/.netrc")
        if "error" in said:
            return Refused(f"the server at {self.base} refused: {said['error']}")
        what = f"what answers at {self.base} is not a scripthut server (HTTP {error.code})"
        return Unreachable(what)


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


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
