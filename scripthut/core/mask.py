"""Secrets that a task was given in its environment, and texts without them."""

import json
import re
from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping
from urllib.parse import quote, quote_plus

from scripthut.core.jobs import Value

SIGN = "***"
LEAST = 6  # characters; a shorter value would be found in ordinary words
EDGE = 4  # characters of a value at the edge of a piece that count as a part of it
_NAME = re.compile(r"(?:TOKEN|SECRET|PASSWORD|PASSWD|KEY)S?$|CREDENTIAL", re.IGNORECASE)
_GIVEN = re.compile(r"\b(\w+)=")
# A word of a shell's. Quotes may begin within it; one that is not closed goes on to the line's end.
_WORD = re.compile(r"""(?:'[^'\n]*'?|"(?:\\.|[^"\\\n])*"?|\\.|[^\s;'"\\])+""")
_ADDRESS = re.compile(r"(?<=://)[^\s/'\"]+@")
_BEARER = re.compile(
    r"(\bauthorization:[ \t]*(?:(?:basic|bearer|digest|negotiate|token)[ \t]+)?|\bbearer[ \t]+)"
    r"[^\s'\"]+",
    re.IGNORECASE,
)
_OPTION = re.compile(r"(?<![\w-])--?([A-Za-z][\w-]*)")
_OPTION_VALUE = re.compile(_OPTION.pattern + r"[ \t]+(?=\S)")
FAR = 1000  # characters before a value in which the quote may stand that is open there
_QUOTED = {sign: re.compile(rf"[^{sign}\n]+") for sign in "'\""}


def is_secret(name: str, names: Collection[str] = ()) -> bool:
    """Whether a variable of that name holds a secret; `names` do besides.

    >>> [is_secret(n, {"MY_PIN"}) for n in ("HF_TOKEN", "api_keys", "MY_PIN", "KEYBOARD", "HOME")]
    [True, True, True, False, False]
    """
    return name in names or _NAME.search(name) is not None


def secrets(env: Mapping[str, Value], names: Collection[str] = ()) -> tuple[str, ...]:
    """The values of an environment that are secrets, in every form that is to be masked.

    Of one that the job's shell completes, the pieces that are known.

    Besides the value: each of its lines, quoted for an address and for JSON, and in base64
    wherever it may stand in a longer text. Longest first.
    """
    values = [
        piece
        for name, value in env.items()
        if is_secret(name, names)
        for piece in ((value,) if isinstance(value, str) else value)
        if isinstance(piece, str)
    ]
    return _every_form(values)


def _every_form(values: Iterable[str]) -> tuple[str, ...]:
    found = {form for value in values for form in _forms(value) if len(form) >= LEAST}
    return tuple(sorted(found, key=lambda form: (-len(form), form)))


def mask(text: str, secrets: Iterable[str]) -> str:
    """A text with SIGN in the place of every secret.

    >>> mask("login hunter22 ok", secrets({"MY_PASSWORD": "hunter22"}))
    'login *** ok'
    """
    pattern = "|".join(map(re.escape, secrets))
    return re.sub(pattern, SIGN, text) if pattern else text


def mask_document(data: bytes, secrets: Iterable[str]) -> bytes:
    """The same for bytes, of which not all need be text."""
    pattern = b"|".join(re.escape(_bytes(secret)) for secret in secrets)
    return re.sub(pattern, SIGN.encode(), data) if pattern else data


def mask_piece(data: bytes, secrets: Iterable[str]) -> bytes:
    """A piece of a log, as long as it was, with stars for secrets.

    A piece may begin or end within a secret; what is there of it goes too.

    >>> mask_piece(b"er22 hunter22 x hunt", ["hunter22"])
    b'**** ******** x ****'
    """
    forms = [_bytes(secret) for secret in secrets]
    pattern = b"|".join(map(re.escape, forms))
    if not pattern:
        return data
    data = re.sub(pattern, lambda match: b"*" * len(match[0]), data)
    head = max((_overlap(form, data[: len(form)]) for form in forms), default=0)
    tail = max((_overlap(data[-len(form) :], form) for form in forms), default=0)
    data = b"*" * head + data[head:]
    return data[: len(data) - tail] + b"*" * tail


def mask_assignments(text: str, names: Collection[str] = ()) -> str:
    """A text of a machine's, without what it gives to names of secrets, in any usual way.

    >>> mask_assignments("+ export HF_TOKEN=abc HOME=/root; MY_PASSWORD='x y'")
    '+ export HF_TOKEN=*** HOME=/root; MY_PASSWORD=***'
    >>> mask_assignments("git clone https://ada:abc@host/x: login --token abc failed")
    'git clone https://***@host/x: login --token *** failed'
    """
    text = _ADDRESS.sub(_without_login, text)
    text = _BEARER.sub(rf"\1{SIGN}", text)
    text = _cut(text, _OPTION_VALUE, names)
    return _cut(text, _GIVEN, names)


def mask_argv(argv: Iterable[str], names: Collection[str] = ()) -> list[str]:
    """The words of a command without secrets, before they are joined.

    What a word gives to a secret's name goes as far as the word: it may hold blanks and commas.

    >>> mask_argv(["qsub", "-v", "A=1,HF_TOKEN=x y", "--token", "abc", "-"])
    ['qsub', '-v', 'A=1,HF_TOKEN=***', '--token', '***', '-']
    """
    shown, is_next = [], False
    for word in argv:
        option = _OPTION.fullmatch(word)
        shown.append(SIGN if is_next else _masked_word(word, names))
        is_next = option is not None and _is_given(option, names)
    return shown


def _masked_word(word: str, names: Collection[str]) -> str:
    for match in _GIVEN.finditer(word):
        before = word[: match.start()]
        if _is_given(match, names) and not re.search(r"[\s;'\"]", before):
            return mask_assignments(before, names) + f"{match[0]}{SIGN}"
    return mask_assignments(word, names)


def _is_given(match: re.Match[str], names: Collection[str]) -> bool:
    """Whether a name is a secret's: `--api-key` as `api_key`, and `-vHF_TOKEN` as what follows."""
    name, at = match[1].replace("-", "_"), match.start(1)
    return is_secret(name, names) or (match.string[at - 1 : at] == "-" and name[1:] in names)


def _cut(text: str, pattern: re.Pattern[str], names: Collection[str]) -> str:
    """A text without the values that follow the names which are secrets'."""
    pieces, end = [], 0
    for match in pattern.finditer(text):
        if match.start() < end or not _is_given(match, names):
            continue
        if found := _value(text, match.end()):
            pieces += [text[end : match.end()], SIGN]
            end = found.end()
    return "".join([*pieces, text[end:]])


def _value(text: str, at: int) -> re.Match[str] | None:
    """The value that begins there: within quotes that are open, all up to their end."""
    before = text[max(0, at - FAR) : at].split()[-1]
    for sign, rest in _QUOTED.items():
        if before.count(sign) % 2:
            return rest.match(text, at)
    return _WORD.match(text, at)


def _without_login(match: re.Match[str]) -> str:
    """The one who logs in stays where no password is named, but for a web address: a token."""
    before = match.string[max(0, match.start() - 8) : match.start()].lower()
    is_secret_part = ":" in match[0] or before.endswith(("http://", "https://"))
    return f"{SIGN}@" if is_secret_part else match[0]


def without_secrets(spec: Mapping[str, object], names: Collection[str] = ()) -> dict[str, object]:
    """A task's stored specification as it may be shown: `env`, `command`, `extra_args` masked."""
    env = spec.get("env")
    known = {str(k): str(v) for k, v in env.items()} if isinstance(env, Mapping) else {}
    values = secrets(known, names)
    shown = {k: SIGN if is_secret(k, names) else mask(v, values) for k, v in known.items()}
    said = {**spec, "env": shown, "command": mask(str(spec.get("command", "")), values)}
    words = spec.get("extra_args")
    if isinstance(words, list):
        said["extra_args"] = [mask(word, values) for word in mask_argv(map(str, words), names)]
    return said


def without_secrets_within(data: object, names: Collection[str] = ()) -> object:
    """Rules as plain data, as they may be shown: what a secret's name has is masked everywhere.

    >>> without_secrets_within([{"set": {"HF_TOKEN": "hunter22"}, "init": "login hunter22"}])
    [{'set': {'HF_TOKEN': '***'}, 'init': 'login ***'}]
    """
    return _within(data, _every_form(_secrets_within(data, names)), names)


def _secrets_within(data: object, names: Collection[str], is_hidden: bool = False) -> Iterable[str]:
    if isinstance(data, Mapping):
        for name, value in data.items():
            yield from _secrets_within(value, names, is_secret(str(name), names))
    elif isinstance(data, list):
        for value in data:
            yield from _secrets_within(value, names, is_hidden)
    elif is_hidden:
        yield str(data)


def _within(
    data: object, hidden: tuple[str, ...], names: Collection[str], is_hidden: bool = False
) -> object:
    if isinstance(data, Mapping):
        return {
            name: _within(value, hidden, names, is_secret(str(name), names))
            for name, value in data.items()
        }
    if isinstance(data, list):
        return [_within(value, hidden, names, is_hidden) for value in data]
    if is_hidden:
        return SIGN
    return mask(data, hidden) if isinstance(data, str) else data


def _forms(value: str) -> Iterable[str]:
    yield from (value, value.strip(), *(line.strip() for line in value.splitlines()))
    yield from (quote(value, safe=""), quote(value), quote_plus(value))
    yield from (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    if len(value) < LEAST:
        return
    raw = _bytes(value)
    for shift in range(3):  # base64 looks three ways, by where in a longer text the value stands
        code = b64encode(b"\0" * shift + raw)
        # Without the signs that also hold bits of the neighbours.
        first, beyond = (0, 2, 3)[shift], (0, 3, 2)[(shift + len(raw)) % 3]
        text = code[first : len(code) - beyond].decode()
        yield from (text, text.replace("+", "-").replace("/", "_"))


def _overlap(before: bytes, after: bytes) -> int:
    """How many bytes at the end of one text are the beginning of the other, from EDGE on."""
    sizes = range(min(len(before), len(after)), EDGE - 1, -1)
    return next((n for n in sizes if before[-n:] == after[:n]), 0)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
