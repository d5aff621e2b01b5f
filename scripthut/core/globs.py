"""Which files of a repository a glob means: as in a shell, `*` stays within a segment."""

import re

_SPECIAL = re.compile(r"(\*\*/|\*\*|\*|\?|\[!?\]?[^\]/]*\])")
_PIECES = {"**/": r"(?:[^/.][^/]*/|\.hut/)*", "**": r"(?!\.).*", "*": r"(?!\.)[^/]*", "?": r"[^/]"}


def pattern(glob: str) -> re.Pattern[str]:
    """An expression that the relative paths meant by a glob match whole.

    `*` and `?` stand for no slash, `**/` for any folders; a leading dot is only matched by a dot,
    except in `.hut`, where workflows live.

    >>> bool(pattern(".hut/workflows/*.json").fullmatch(".hut/workflows/a.json"))
    True
    >>> bool(pattern(".hut/workflows/*.json").fullmatch(".hut/workflows/deep/a.json"))
    False
    >>> p = pattern("**/*.json")
    >>> [bool(p.fullmatch(x)) for x in ("a.json", "x/y/a.json", ".git/a.json", ".hut/w/a.json")]
    [True, True, False, True]
    """
    pieces = []
    for n, part in enumerate(_SPECIAL.split(glob.removeprefix("./"))):
        if n % 2 == 0:
            pieces.append(re.escape(part))
        elif part in _PIECES:
            inside = bool(pieces[-1]) and not pieces[-1].endswith("/")
            pieces.append(_PIECES[part].replace(r"(?!\.)", "") if inside else _PIECES[part])
        else:
            pieces.append("[^" + part[2:] if part.startswith("[!") else part)
    return re.compile("".join(pieces))


def check(glob: str) -> str:
    """Give a glob back; ValueError says why it cannot mean files of a repository."""
    if glob.startswith("/") or ".." in glob.split("/"):
        raise ValueError("must be relative to the repository and stay within it")
    try:
        pattern(glob)
    except re.error as error:
        raise ValueError(f"is not a glob: {error}") from None
    return glob
