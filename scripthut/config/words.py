"""Where in a configuration something is, and what is wrong there, in words."""

from collections.abc import Mapping, Sequence

KINDS = ("slurm", "pbs", "local", "git", "path")  # of entries; pydantic puts them into a place


def place(loc: Sequence[int | str]) -> str:
    """Where in a document something is.

    >>> place(("backends", 0, "slurm", "ssh", "host"))
    'backends[0].ssh.host'
    >>> place(("sources", 1, "path", "path"))
    'sources[1].path'
    """
    words = [w for n, w in enumerate(loc) if not (n == 2 and w in KINDS)]
    text = "".join(f"[{w}]" if isinstance(w, int) else f".{w}" for w in words)
    return text.removeprefix(".") or "the whole"


def say(error: Mapping[str, object]) -> str:
    """What is wrong, in a sentence."""
    sentences = {
        "extra_forbidden": "is not a known key",
        "missing": "is required",
    }
    message = str(error["msg"]).removeprefix("Value error, ")
    return sentences.get(str(error["type"]), message)
