"""Reading pages as a browser would: what they link to, load and ask for."""

from collections import Counter
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

from tests.serving import Reply, Site

ADDRESSES = frozenset({"href", "src", "action", "hx-get", "hx-post"})
ALIKE = 8  # addresses of one path
ACTS = frozenset({"action", "hx-post"})  # not to be followed


class _Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        method = dict(attrs).get("method", "get")
        for name, value in attrs:
            if name == "data-html" and value:
                self.feed_inner(value)
            elif name in ADDRESSES and value and not (name == "action" and method == "get"):
                self.found.append((name, value))

    def feed_inner(self, html: str) -> None:
        inner = _Addresses()
        inner.feed(html)
        self.found += inner.found


def addresses(html: str) -> list[tuple[str, str]]:
    """The attribute and the address of everything that a page points at."""
    parser = _Addresses()
    parser.feed(html)
    return parser.found


def walk(site: Site, start: str = "/", most: int = 400) -> dict[str, Reply]:
    """Follow everything from a page on; the answers by address, beginning with the prefix.

    Of addresses that differ in their query alone, a few. Fails on an address that leads out of the
    site or from under its prefix.
    """
    seen: dict[str, Reply] = {}
    alike: Counter[str] = Counter()
    bare = Site(site.host, site.port, "", site.headers)
    todo = [site.prefix + start]
    while todo and len(seen) < most:
        path = todo.pop(0)
        if path in seen or alike[urlsplit(path).path] == ALIKE:
            continue
        alike[urlsplit(path).path] += 1
        seen[path] = reply = bare.get(path)
        if not reply.headers.get("content-type", "").startswith("text/html"):
            continue
        for attribute, address in addresses(reply.text):
            if address.startswith("data:"):  # a report carries its images
                continue
            where = urldefrag(urljoin(f"{site.url}{path.removeprefix(site.prefix)}", address)).url
            assert where.startswith(f"{site.url}/"), f"{path} points at {address}"
            parts = urlsplit(where)
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            if attribute not in ACTS:
                todo.append(target)
    return seen
