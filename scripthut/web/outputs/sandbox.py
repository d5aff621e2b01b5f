"""Interactive pages that tasks wrote: run by the browser in an origin of their own, shut in.

An address begins with a signed word for one attempt of one task, good for an hour, and for longer
while a page with it is open: what it loads from beside itself needs no cookie, and nothing else can
be named.
"""

from datetime import datetime, timedelta

from flask import Blueprint, Response, current_app, g, request, url_for
from itsdangerous import BadSignature, Signer

from scripthut.clock import utcnow
from scripthut.core.errors import NotFound
from scripthut.core.files import folding, notebook
from scripthut.core.files.previews import inside_a_frame
from scripthut.ids import new_key
from scripthut.store import outputs
from scripthut.store.files import frames
from scripthut.store.keys import site_key
from scripthut.store.models import Output, Task
from scripthut.web.extensions import config, database, kept
from scripthut.web.outputs import files

bp = Blueprint("sandbox", __name__, url_prefix="/sandbox/<token>")

LIFE = 3600  # seconds that an address is good for
INDEX = "index.html"
CELLS = ".cells"
GONE = "This address of a file is no longer good: open the file from its task's page again."
# Scripts may do anything but leave: no other origin, no form, no window, no site around them.
POLICY = "; ".join(
    (
        "sandbox allow-scripts",
        "default-src {own} 'unsafe-inline' 'unsafe-eval' data: blob:",
        "form-action 'none'",
        "base-uri 'none'",
        "object-src 'none'",
        "frame-ancestors {site}",
    )
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-cache",
    "Cross-Origin-Resource-Policy": "cross-origin",  # to its own opaque origin, all is another
    "Access-Control-Allow-Origin": "*",  # fonts and modules; the address is the secret
    "Vary": "Sec-Fetch-Dest",
}


def address(task: Task, row: Output, now: datetime, path: str = "") -> str | None:
    """Where a frame finds a page that a task wrote; None when no address can say its path.

    `path` CELLS: where the folder of the pages inside a notebook is.
    """
    if row.sha256 is None or not (path or files.has_plain_path(row)):
        return None
    word = f"{task.id}.{row.attempt}.{int(now.timestamp()) + LIFE}"
    token = _signer().sign(word).decode()
    if path == CELLS:
        return url_for("sandbox.cell", token=token, row=row.id, cell=0, out=0)[:-3]
    return url_for("sandbox.file", token=token, path=row.path)


def renewal(address: str | None) -> str | None:
    """Where a page says that it is still open, so that an address in it stays good."""
    if address is None:
        return None
    return url_for("sandbox.renew", token=address.rpartition("/sandbox/")[2].partition("/")[0])


@bp.post("/.renew")
def renew(token: str) -> tuple[str, int]:
    """Let a token that is good be so for another hour; the page inside the frame cannot ask it."""
    now = utcnow()
    _opened(token, now)
    with database().writing() as session:
        frames.renew(session, token, now + timedelta(seconds=LIFE))
    return "", 204


@bp.get(f"/{CELLS}/<int:row>/<int:cell>/<int:out>")
def cell(token: str, row: int, cell: int, out: int) -> Response:
    """Send the HTML that a cell of a notebook put out, to be run inside a frame."""
    task_id, attempt = _opened(token, utcnow())
    _refuse_alone()
    file = outputs.file_of_attempt_by_row(g.session, task_id, attempt, row)
    try:
        data = kept().read(file.sha256 or "", limit=folding.BYTES + 1)
        html = notebook.page(data, cell, out)
    except (FileNotFoundError, LookupError):
        raise NotFound("There is no such page in this file.") from None
    return Response(html, mimetype="text/html", headers=_headers(token))


@bp.get("/")
@bp.get("/<path:path>", merge_slashes=False)
def file(token: str, path: str = "") -> Response:
    """Send a file of the attempt that the token is for, to be run inside a frame."""
    task_id, attempt = _opened(token, utcnow())
    _refuse_alone()
    path += INDEX if not path or path.endswith("/") else ""
    row = outputs.file_of_attempt(g.session, task_id, attempt, path.encode())
    return files.with_headers(row, inside_a_frame(row.path), _headers(token))


def _refuse_alone() -> None:
    if request.headers.get("Sec-Fetch-Dest") == "document":
        raise NotFound("This file is shown in a frame of its task's page, not by itself.")


def _headers(token: str) -> dict[str, str]:
    site = request.host_url.rstrip("/")
    policy = POLICY.format(own=f"{site}{url_for('sandbox.file', token=token)}", site=site)
    return {**HEADERS, "Content-Security-Policy": policy}


def _opened(token: str, now: datetime) -> tuple[int, int]:
    """The task and the attempt that a token is for. NotFound unless it is ours and still good."""
    try:
        task_id, attempt, until = map(int, _signer().unsign(token).decode().split("."))
    except (BadSignature, ValueError):
        raise NotFound(GONE) from None
    if until < now.timestamp() and not frames.is_good(g.session, token, now):
        raise NotFound(GONE)
    return task_id, attempt


def _signer() -> Signer:
    key = current_app.extensions.get("site_key")
    if key is None:
        key = current_app.extensions["site_key"] = site_key(config().data_dir, new_key())
    return Signer(key, salt="scripthut sandbox", sep="~")
