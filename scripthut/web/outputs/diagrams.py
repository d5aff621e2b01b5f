"""The frame that diagrams in documents are drawn in: an origin of its own, two scripts of ours."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from types import MappingProxyType

from flask import Blueprint, Response, make_response, render_template, request, send_file, url_for

from scripthut.core.errors import NotFound
from scripthut.places import STATIC

bp = Blueprint("diagrams", __name__, url_prefix="/sandbox/diagram")

SCRIPTS: Mapping[str, str] = MappingProxyType(
    {"mermaid.js": "vendor/mermaid-11.17.2.min.js", "diagram.js": "diagram.js"}
)
A_YEAR = "public, max-age=31536000, immutable"
# The library writes style sheets into what it draws. Nothing is fetched but the two scripts.
POLICY = "; ".join(
    (
        "sandbox allow-scripts",
        "default-src 'none'",
        "script-src {scripts}",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors {site}",
    )
)


@bp.get("/frame")
def frame() -> Response:
    """Send the frame's page; the diagram comes from the page around it, as a message."""
    site = request.host_url.rstrip("/")
    scripts = " ".join(f"{site}{url_for('diagrams.script', name=name)}" for name in SCRIPTS)
    response = make_response(render_template("diagram/frame.html", marks=_marks()))
    response.headers["Content-Security-Policy"] = POLICY.format(scripts=scripts, site=site)
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@bp.get("/<name>")
def script(name: str) -> Response:
    """Send one of the frame's scripts, to be kept for long: its address holds its hash."""
    if name not in SCRIPTS:
        raise NotFound("There is no such part of a diagram's frame.")
    response = send_file(STATIC / SCRIPTS[name], mimetype="text/javascript")
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"  # to its opaque origin
    is_this = request.args.get("v") == _marks()[name]
    response.headers["Cache-Control"] = A_YEAR if is_this else "no-cache"
    return response


@cache
def _marks() -> Mapping[str, str]:
    return {
        name: sha256((STATIC / path).read_bytes()).hexdigest()[:12]
        for name, path in SCRIPTS.items()
    }
