"""Kept files on their way out: as bytes, as a document's HTML, and where they are."""

from html import escape

from flask import Response, request, send_file, url_for

from scripthut.core.errors import NotFound
from scripthut.core.files.notebook import SEPARATOR
from scripthut.core.files.previews import Kind, served
from scripthut.core.markdown import policy
from scripthut.store import outputs
from scripthut.store.models import Output
from scripthut.web.extensions import kept

# What a browser asks for in order to run it, whatever its type is said to be.
RUNS = frozenset(
    {"script", "style", "worker", "sharedworker", "serviceworker", "audioworklet", "paintworklet"}
    | {"xslt", "embed", "object", "manifest"}
)
HEADERS = {
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
    "Vary": "Sec-Fetch-Dest",
}


def refuse_to_run() -> None:
    """NotFound for a request of a browser that would run what it gets."""
    if request.headers.get("Sec-Fetch-Dest", "").lower() in RUNS:
        raise NotFound("What a task wrote is shown or downloaded, never run by a page.")


def sent(row: Output) -> Response:
    """A kept file, whole or in ranges, so that no browser runs anything that is in it."""
    how = served(row.path)
    as_attachment = "download" in request.args or not how.inline
    return with_headers(row, how.type, HEADERS, as_attachment)


def with_headers(
    row: Output, mimetype: str, headers: dict[str, str], as_attachment: bool = False
) -> Response:
    """A kept file with these headers. NotFound when its bytes are gone."""
    name = row.path.rpartition("/")[2].replace("\\", "_").replace('"', "_")
    try:
        response = send_file(
            kept().path(row.sha256 or ""),
            mimetype=mimetype,
            as_attachment=as_attachment,
            download_name=name,
            etag=row.sha256 or False,
            conditional=False,
        )
    except (FileNotFoundError, ValueError):
        raise NotFound("The server does not have this file any more.") from None
    del response.headers["Last-Modified"]  # of the copy, which says nothing of the file
    response.headers.update({**headers, "Content-Type": mimetype})
    response.make_conditional(request, accept_ranges=True, complete_length=response.content_length)
    return response


def html_of(run_id: str, task_key: str, row: Output, is_former: bool = False) -> str | None:
    """A document's HTML with the addresses put in; None when there is none of this version.

    `is_former`: of an attempt that is not the task's present one.
    """
    return _rendered(run_id, task_key, row, is_former) if row.kind == Kind.MARKDOWN else None


def parts_of(run_id: str, task_key: str, row: Output, is_former: bool = False) -> list[str]:
    """The HTML of a notebook's parts, likewise; empty when there is none of this version."""
    html = _rendered(run_id, task_key, row, is_former)
    return [] if html is None else html.split(SEPARATOR)


def _rendered(run_id: str, task_key: str, row: Output, is_former: bool) -> str | None:
    if row.sha256 is None:
        return None
    name = policy.key(row.sha256, outputs.folder_of(row.area, row.raw))
    if row.html != name:
        return None
    try:
        html = kept().read(name).decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    base = _by_path(run_id, task_key, "x", row.attempt if is_former else None)[:-1]
    return html.replace(policy.BASE, escape(base)).replace(policy.ANCHOR, f"{row.id}-")


def _by_path(run_id: str, key: str, path: str, attempt: int | None) -> str:
    if attempt is None:
        return url_for("outputs.file", run_id=run_id, key=key, path=path)
    return url_for("outputs.file_of", run_id=run_id, key=key, attempt=attempt, path=path)


def url_of(run_id: str, task_key: str, row: Output, is_former: bool = False) -> str | None:
    """Where a kept file is: by its path where an address can say that, else by its number."""
    if row.sha256 is None:
        return None
    if has_plain_path(row):
        return _by_path(run_id, task_key, row.path, row.attempt if is_former else None)
    return url_for("outputs.file_by_row", run_id=run_id, key=task_key, row=row.id)


def has_plain_path(row: Output) -> bool:
    """Whether an address can say the file's path: nothing in it needed escaping."""
    return row.path.encode("utf-8", "surrogatepass") == row.raw
