"""The name by which a browser saves an answer, whatever letters are in it."""

from unicodedata import normalize
from urllib.parse import quote

from flask import Response


def save_as(response: Response, name: str) -> None:
    """Make an answer a download of this name: a header holds ASCII alone, so it is said twice.

    Source: RFC 6266, section 4.3 and appendix D.
    """
    plain = normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = "".join(c if c.isprintable() and c not in '"\\' else "_" for c in plain)
    said = f'attachment; filename="{plain}"'
    if plain != name:
        said += f"; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"
    response.headers["Content-Disposition"] = said
