"""Addresses and names of git: which may be passed on, and how they are shown.

What git takes for an option, a transport that runs a command, or a name that it would refuse anyway
never reaches it.
"""

import re
from urllib.parse import urlsplit

PROTOCOLS = ("https", "http", "ssh", "git", "file")
LONGEST = 200  # characters of a name
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
ABBREVIATED = re.compile(r"[0-9a-f]{7,64}")
_SCP = re.compile(r"(?:[A-Za-z0-9._-]+@)?(?!-)[A-Za-z0-9._-]+:(?!:|//)[^\x00-\x20].*")
_NEVER = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|$)")
_PASSWORD = re.compile(r"(?<=://)[^/@\s]*@")


def check_url(url: str) -> str:
    """Give a repository's address back; ValueError says why it is none.

    >>> check_url("git@github.com:org/repo.git"), check_url("/srv/git/repo")
    ('git@github.com:org/repo.git', '/srv/git/repo')
    """
    if any(c < " " or c == "\x7f" for c in url):
        raise ValueError("holds a control character")
    if url.startswith("-"):
        raise ValueError("begins with a dash, which git would take for an option")
    scheme, separator, rest = url.partition("://")
    if separator and scheme.lower() in PROTOCOLS and rest and not rest.startswith("-"):
        if (urlsplit(url).hostname or "").startswith("-"):
            raise ValueError("has a host that begins with a dash")
        return url
    if url.startswith(("/", "~/")) or (not separator and "::" not in url and _SCP.fullmatch(url)):
        return url
    raise ValueError(
        f"is not an address of a repository: use {'://, '.join(PROTOCOLS)}://, user@host:path or "
        "an absolute path"
    )


def check_ref(name: str) -> str:
    """Give the name of a branch, a tag or a commit back; ValueError says why it is none.

    Source: git-check-ref-format(1).
    """
    is_bad = _NEVER.search(name) or name.startswith(("-", "/", ".")) or name.endswith(("/", "."))
    if not name or name == "@" or len(name) > LONGEST or is_bad:
        raise ValueError(f"{name[:80]!r} cannot be the name of a branch, a tag or a commit")
    return name


def shown(text: str) -> str:
    """A text with addresses in it, without the names and passwords that stand in them.

    >>> shown("https://ada:secret@git.example/x failed")
    'https://git.example/x failed'
    """
    return _PASSWORD.sub("", text)


def host_of(url: str) -> tuple[str, int] | None:
    """The host and port that ssh would be asked for; None for other addresses.

    >>> host_of("ssh://git@forge.example:2222/x"), host_of("git@forge.example:x/y")
    (('forge.example', 2222), ('forge.example', 22))
    """
    if url.startswith("ssh://"):
        parts = urlsplit(url)
        return (parts.hostname, parts.port or 22) if parts.hostname else None
    if "://" in url or url.startswith(("/", "~")):
        return None
    return url.partition(":")[0].rpartition("@")[2], 22


def web_page(url: str, commit: str) -> str | None:
    """The page of a commit on the forge that holds a repository; None when there is none.

    >>> web_page("git@github.com:org/repo.git", "abc")
    'https://github.com/org/repo/commit/abc'
    >>> web_page("file:///srv/repo", "abc") is None
    True
    """
    if host := host_of(url):
        path = urlsplit(url).path if "://" in url else url.partition(":")[2]
        address = f"https://{host[0]}/{path.strip('/')}"
    elif url.startswith(("https://", "http://")):
        address = shown(url)
    else:
        return None
    name = urlsplit(address).hostname or ""
    if "." not in name or name.replace(".", "").isdecimal():
        return None
    between = "-/commit" if "gitlab" in name else "commits" if "bitbucket" in name else "commit"
    return f"{address.rstrip('/').removesuffix('.git')}/{between}/{commit}"
