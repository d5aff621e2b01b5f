"""Source text -> tokens with classes: comments, strings, numbers, keywords.

A lexer library would know more, and its expressions can take for ever on text made for that; a
web worker cannot be stopped inside one. These here never go back (`*+`): time grows with size.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from scripthut.core.files.previews import suffix

Tokens: TypeAlias = list[tuple[str, str]]
"""(class, text); all the text is there, in order."""

_HASH, _SLASH, _DASH, _PERCENT = r"#[^\n]*+", r"//[^\n]*+", r"--[^\n]*+", r"%[^\n]*+"
_BANG = r"![^\n]*+"
_BLOCK = r"/\*(?:[^*]|\*(?!/))*+(?:\*/)?"
_LUA = r"--\[\[(?:[^\]]|\](?!\]))*+(?:\]\])?"
_JULIA = r"#=(?:[^=]|=(?!#))*+(?:=#)?"
_DOUBLE, _SINGLE = r'"(?:[^"\\\n]|\\.)*+"?', r"'(?:[^'\\\n]|\\.)*+'?"
_LONG = r'"{3}(?:[^"\\]|\\.|"(?!""))*+(?:"{3})?'
_LONG_SINGLE = r"'{3}(?:[^'\\]|\\.|'(?!''))*+(?:'{3})?"
_TICKS = r"`(?:[^`\\]|\\.)*+`?"
_SHELL_DOUBLE, _SHELL_SINGLE = r'"(?:[^"\\]|\\.)*+"?', r"'[^']*+'?"
_NUMBER = (
    r"(?<![A-Za-z0-9_.])(?:0[xX][0-9a-fA-F_]++|[0-9][0-9_]*+(?:\.[0-9_]*+)?(?:[eE][+-]?[0-9]++)?)"
)
_NAME = r"[A-Za-z_][A-Za-z0-9_]*+"


@dataclass(frozen=True)
class Language:
    """What a language's comments, strings and keywords look like."""

    comments: tuple[str, ...]
    strings: tuple[str, ...]
    words: frozenset[str] = frozenset()
    folds: bool = False  # keywords in any case

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """One expression for all; its groups are the classes."""
        kinds = {"c": self.comments, "s": self.strings, "m": (_NUMBER,), "k": (_NAME,)}
        groups = (f"(?P<{name}>{'|'.join(ways)})" for name, ways in kinds.items() if ways)
        return re.compile("|".join(groups), re.DOTALL)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STRINGS = (_DOUBLE, _SINGLE)
_C_WORDS = (
    "auto bool break case catch char class const constexpr continue default delete do double else "
    "enum extern false float for goto if include inline int long namespace new nullptr operator "
    "private protected public return short signed sizeof static struct switch template this "
    "throw true try typedef typename union unsigned using virtual void volatile while"
)
_C = Language((_BLOCK, _SLASH), _STRINGS, _words(_C_WORDS))
_JAVA = Language(
    (_BLOCK, _SLASH),
    _STRINGS,
    _words(
        _C_WORDS + " abstract extends final implements import instanceof interface package super"
    ),
)
_PYTHON = Language(
    (_HASH,),
    (_LONG, _LONG_SINGLE, _DOUBLE, _SINGLE),
    _words(
        "False None True and as assert async await break class continue def del elif else except "
        "finally for from global if import in is lambda nonlocal not or pass raise return try "
        "while with yield"
    ),
)
_R = Language(
    (_HASH,),
    _STRINGS,
    _words("if else repeat while function for next break TRUE FALSE NULL Inf NaN NA in library"),
)
_JULIA_LANGUAGE = Language(
    (_JULIA, _HASH),
    (_LONG, _DOUBLE),
    _words(
        "baremodule begin break const continue do else elseif end export false finally for "
        "function global if import let local macro module mutable quote return struct true try "
        "using where while"
    ),
)
_SHELL = Language(
    (r"(?<![^\s;|&(])#[^\n]*+",),
    (_SHELL_DOUBLE, _SHELL_SINGLE),
    _words(
        "if then elif else fi for while until do done case esac in function return exit export "
        "local set unset source trap shift break continue declare readonly"
    ),
)
_SCRIPT = Language(
    (_BLOCK, _SLASH),
    (_TICKS, _DOUBLE, _SINGLE),
    _words(
        "async await break case catch class const continue default delete do else export extends "
        "false finally for from function if import in instanceof interface let new null of return "
        "static super switch this throw true try type typeof undefined var void while yield"
    ),
)
_SQL = Language(
    (_BLOCK, _DASH),
    _STRINGS,
    _words(
        "select from where and or not insert into values update set delete create table index view "
        "drop alter join left right inner outer on group by order having limit as distinct union "
        "all null is in exists between like case when then else end with primary key references"
    ),
    folds=True,
)
_FORTRAN = Language(
    (_BANG,),
    _STRINGS,
    _words(
        "program end module use implicit none integer real complex logical character dimension "
        "parameter subroutine function call return do while if then else elseif endif enddo "
        "contains allocate deallocate allocatable intent in out inout print write read type "
        "select case stop pure elemental recursive result interface public private"
    ),
    folds=True,
)
_LUA_LANGUAGE = Language(
    (_LUA, _DASH),
    _STRINGS,
    _words(
        "and break do else elseif end false for function goto if in local nil not or repeat return "
        "then true until while"
    ),
)
_SETTINGS = Language((_HASH,), _STRINGS, _words("true false null yes no on off"), folds=True)
_INI = Language((r"(?m:^)[ \t]*+[#;][^\n]*+",), (_DOUBLE,), _words("true false yes no"), folds=True)
_TEX = Language((_PERCENT,), (r"\\[A-Za-z]++",))
_CSS = Language((_BLOCK,), _STRINGS)

_NAMES: Mapping[str, Language] = {
    "c cc cpp cu cuh cxx h hpp": _C,
    "java kt scala rs go cs swift": _JAVA,
    "py pyi pyx smk": _PYTHON,
    "r": _R,
    "jl": _JULIA_LANGUAGE,
    "bash sh sbatch zsh": _SHELL,
    "js mjs ts jsx tsx": _SCRIPT,
    "sql": _SQL,
    "f90 f95 f03 f": _FORTRAN,
    "lua": _LUA_LANGUAGE,
    "yaml yml toml": _SETTINGS,
    "ini cfg conf properties": _INI,
    "tex bib": _TEX,
    "css": _CSS,
}
_OF_SUFFIX = {end: language for names, language in _NAMES.items() for end in names.split()}
_DIFF_CLASSES = {"+": "added", "-": "removed", "@": "c"}


def tokens(path: str, text: str) -> Tokens | None:
    """The text as tokens; None when the name is not one of a language that is known here.

    >>> tokens("a.py", "x = 'a' # b")
    [('', 'x = '), ('s', "'a'"), ('', ' '), ('c', '# b')]
    """
    end = suffix(path)
    if end in ("diff", "patch"):
        return [(_DIFF_CLASSES.get(line[:1], ""), line) for line in text.splitlines(keepends=True)]
    language = _OF_SUFFIX.get(end)
    return None if language is None else _of_language(language, text)


def _of_language(language: Language, text: str) -> Tokens:
    found: Tokens = []
    start = 0
    for match in language.pattern.finditer(text):
        name, word = match.lastgroup or "", match[0]
        if name == "k" and (word.lower() if language.folds else word) not in language.words:
            continue
        found += [("", text[start : match.start()]), (name, word)]
        start = match.end()
    found.append(("", text[start:]))
    return [token for token in found if token[1]]
