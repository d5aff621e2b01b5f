"""Secrets within a value or a comment: what gives one to a name, and addresses that hold one."""

import re
from collections.abc import Collection

from scripthut.core.mask import SIGN, is_secret, mask_assignments

# The last `@` ends a password, and a slash may stand in one of a database.
PASSWORD = re.compile(r"(?<=://)([^/@\s:]{0,200}):[^\s]{1,1000}(?=@)")
# What a shell puts there, `$(cat file)` or `$NAME`, is no secret of the text.
_ELSEWHERE = re.compile(r"(?<=\w)(?==\"?\$(?:\(|(?:[A-Za-z_]\w{0,99}|\{\w{1,99}\})(?:[\"\s;]|$)))")
_KEPT = "\ue000"  # stands before the sign of what is given, so that it is not taken for it
_SAID = re.compile(r"\b(?P<name>[A-Za-z_][A-Za-z0-9_]{0,99})['\"]?[ \t]{0,20}[:=][ \t]{0,20}(?=\S)")


def hidden(text: str, names: Collection[str] = ()) -> str:
    """A value without the secrets within it.

    >>> hidden("postgresql://hut:a@b@db/x?user=u&password=c"), hidden("https://ghp_x@host/a")
    ('postgresql://***@db/x?user=u&password=***', 'https://***@host/a')
    >>> hidden("export HF_TOKEN=abc A=b; MY_KEY=$(cat key)")
    'export HF_TOKEN=*** A=b; MY_KEY=$(cat key)'
    """
    text = _ELSEWHERE.sub(_KEPT, PASSWORD.sub(rf"\1:{SIGN}", text))
    return mask_assignments(text, names).replace(_KEPT, "")


def secret_from(comment: str, names: Collection[str] = ()) -> int | None:
    """Where in a comment's line a secret begins, which goes on to its end; None: there is none.

    >>> secret_from("# HF_TOKEN: abc"), secret_from("# see https://u:x@h"), secret_from("# a: b")
    (12, 2, None)
    """
    for said in _SAID.finditer(comment):
        if is_secret(said["name"], names):
            return said.end()
    bare = comment.lstrip("# \t")
    return len(comment) - len(bare) if hidden(bare, names) != bare else None
