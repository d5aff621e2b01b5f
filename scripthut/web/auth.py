"""Who may ask: the Host that is asked for, the page that asks, and the proxies that are believed.

There is no sign-in here: the server listens on loopback, and another site open in the same browser
must neither read nor act. docs: CONTRIBUTING.md, "The browser's doors".
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Flask, Request, Response, g, request
from werkzeug.exceptions import SecurityError
from werkzeug.middleware.proxy_fix import ProxyFix

from scripthut.config import LOOPBACK, Live
from scripthut.config.proxies import UNIX_PEERS, peers
from scripthut.core.errors import HutError, Invalid
from scripthut.ids import new_nonce

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FORWARDED = ("FOR", "PROTO", "HOST", "PORT", "PREFIX")
PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+/?|/?")
OF_PROXIES = ("HTTP_X_FORWARDED", "HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP")  # begin so
DIRECT = "scripthut.came_directly"
SOURCE = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+/([A-Za-z0-9._~-]+/)*")

CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'nonce-{nonce}'",  # no 'self': no file that a user wrote can be a script
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-src {frames}",  # what a task's page runs in, in an origin of its own
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "HX-Hut": "1",  # by which a page knows that no proxy answered instead (static/answers.js)
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Misdirected(HutError):
    """The request names a host that this server is not."""


class Malformed(HutError):
    """The request cannot be understood."""


class Forbidden(HutError):
    """The request would act, and it cannot be shown that it comes from our own page."""


def init_app(app: Flask, live: Live) -> None:
    """Check every request of the app, and send the protecting headers with every response."""
    app.wsgi_app = Proxied(app.wsgi_app, live.config.settings.trusted_proxies)  # type: ignore[method-assign]

    @app.before_request
    def check() -> None:
        hosts = (*LOOPBACK, *live.config.settings.allowed_hosts)
        names = frozenset(name.lower() for name in hosts)
        g.nonce = new_nonce()
        _check_prefix(request)
        host = _host(request, names)
        if request.method not in SAFE:
            _check_origin(request, host, names)

    @app.after_request
    def protect(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        policy = CSP.format(nonce=g.get("nonce") or new_nonce(), frames=_frames(request))
        response.headers.setdefault("Content-Security-Policy", policy)
        if request.endpoint != "static":
            response.headers.setdefault("Cache-Control", "no-store")
            response.headers.add("Vary", "HX-Request, HX-Target, Accept")
        return response


def _frames(asked: Request) -> str:
    """The only addresses that our pages may hold in a frame, as a source of the policy."""
    root = asked.url_root if asked.headers.get("Host") else ""
    return f"{root}sandbox/" if SOURCE.fullmatch(root) else "'none'"


def _check_prefix(asked: Request) -> None:
    prefix = asked.headers.get("X-Forwarded-Prefix", "")
    if not PREFIX.fullmatch(prefix):
        raise Malformed(
            "X-Forwarded-Prefix is not a path like /hut: correct it in the proxy's configuration."
        )


def _host(asked: Request, names: Iterable[str]) -> str:
    """The `host` or `host:port` that the request names; Misdirected unless it is one of ours."""
    try:
        host = asked.host.lower()
        name = urlsplit(f"//{host}").hostname or ""
    except (SecurityError, ValueError):
        host = name = ""
    if name in names or (host and host in names):
        return host
    raise Misdirected(
        f"This server does not answer for the host {name or 'that was asked for'}. "
        "If it should, add the name to settings.allowed_hosts in scripthut.yaml."
    )


def _check_origin(asked: Request, host: str, names: Iterable[str]) -> None:
    """Refuse what another site could have sent: every browser says where a request comes from."""
    site = asked.headers.get("Sec-Fetch-Site")
    origin = asked.headers.get("Origin") or asked.headers.get("Referer")
    if site is not None:
        ours = site in ("same-origin", "none")
    elif origin is not None:
        where = urlsplit(origin).netloc.lower() if "://" in origin else ""
        ours = bool(where) and (_same(where, host) or (":" in where and where in names))
    else:
        # Neither a form nor a fetch from another site can send these two without asking first.
        ours = asked.mimetype == "application/json" or "Authorization" in asked.headers
        ours = ours and not any(k.lower().startswith("sec-fetch-") for k, _ in asked.headers)
    if not ours:
        raise Forbidden(
            "This request would change something and does not come from a page of this server. "
            "From a program, send it with `Content-Type: application/json`."
        )


def _same(one: str, other: str) -> bool:
    def bare(host: str) -> str:
        return re.sub(r":(80|443)$", "", host)

    return bare(one) == bare(other)


def came_directly(asked: Request) -> bool:
    """Whether a program of this machine asked: nothing tells of a proxy, configured or not."""
    return asked.environ.get(DIRECT) is True


def _is_direct(environ: "WSGIEnvironment") -> bool:
    """Whether a request as it arrived tells of no proxy.

    A socket file is listened on for one; and no browser speaks HTTP/1.0, which nginx does.
    """
    return (
        environ.get("REMOTE_ADDR", "") not in UNIX_PEERS
        and environ.get("SERVER_PROTOCOL") != "HTTP/1.0"
        and not any(name.startswith(OF_PROXIES) for name in environ)
    )


class Proxied:
    """Believe X-Forwarded-* of the configured proxies alone; of anyone else they are dropped."""

    def __init__(self, app: "WSGIApplication", trusted: Iterable[str]) -> None:
        self.direct = app
        self.behind = ProxyFix(app, x_for=1, x_proto=1, x_host=1, x_prefix=1)
        try:
            self.is_trusted = peers(trusted)
        except ValueError as error:
            raise Invalid("settings.trusted_proxies", [str(error)]) from None

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        environ[DIRECT] = _is_direct(environ)
        if self.is_trusted(environ.get("REMOTE_ADDR", "")):
            if PREFIX.fullmatch(environ.get("HTTP_X_FORWARDED_PREFIX", "")):
                return self.behind(environ, start_response)
            return self.direct(environ, start_response)  # refused there, by its own name
        for name in FORWARDED:
            environ.pop(f"HTTP_X_FORWARDED_{name}", None)
        return self.direct(environ, start_response)
