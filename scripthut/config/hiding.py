"""Secrets within a value or a comment: what gives one to a name, and addresses that hold one."""

import re
from collections.abc import Collection

from scripthut.core.mask import SIGN, is_secret

PASSWORD = re.compile(r"(?<=://)([^/@\s:]{0,200}):[^\s]{1,1000}(?=@)")
USER = re.compile(r"(\bhttps?://)[^/@\s:]{1,1000}(?=@)")  # a token, alone before a host
_GIVEN = re.compile(r"\b(?P<name>[A-Za-z_][A-Za-z0-9_]{0,99})=")
_VALUE = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|[^\s;'\"]+")
_ELSEWHERE = re.compile(r"\"?\$[({A-Za-z_]")  # what a shell puts there is no secret of the text
_SAID = re.compile(r"\b(?P<name>[A-Za-z_][A-Za-z0-9_]{0,99})['\"]?[ \t]{0,20}[:=][ \t]{0,20}(?=\S)")


def hidden(text: str, names: Collection[str] = ()) -> str:
    """A value without the secrets within it.

    >>> hidden("postgresql://hut:a@b@db/x?user=u&password=c"), hidden("https://ghp_x@host/a")
    ('postgresql://hut:***@db/x?user=u&password=***', 'https://***@host/a')
    >>> hidden("export HF_TOKEN=abc A=b; MY_KEY=$(cat key)")
    'export HF_TOKEN=*** A=b; MY_KEY=$(cat key)'
    """
    parts: list[str] = []
    at = 0
    for given in _GIVEN.finditer(text):
        value = _VALUE.match(text, given.end())
        is_within = given.start() < at or value is None
        if is_within or not is_secret(given["name"], names):
            continue
        if value is not None and not _ELSEWHERE.match(value[0]):
            parts += [text[at : given.end()], SIGN]
            at = value.end()
    text = "".join([*parts, text[at:]])
    return USER.sub(rf"\1{SIGN}", PASSWORD.sub(rf"\1:{SIGN}", text))


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
