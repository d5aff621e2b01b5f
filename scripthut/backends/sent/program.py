"""The constant script in one piece, as it goes over the wire before each request."""

import json
from inspect import getsource

from scripthut.backends.sent import (
    apart,
    clear,
    cut,
    disk,
    drop,
    fetch,
    files,
    find,
    free,
    listing,
    place,
    read,
    script,
    things,
)

_BOOT = """\
import json, types
source = sys.stdin.buffer
for name, length in json.loads(source.readline().decode()):
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source.read(length), name, "exec"), module.__dict__)
module.main()
"""
_READERS = (files, fetch, listing, find, read, cut)
_MAKERS = (apart, place, drop, things, disk, free, clear)
MODULES = (*_READERS, *_MAKERS, script)  # each after those it imports; the last one is run


def _program() -> bytes:
    sources = [(module.__name__, getsource(module).encode()) for module in MODULES]
    head = json.dumps([[name, len(source)] for name, source in sources])
    return b"\n".join([repr(_BOOT).encode(), head.encode(), b"".join(s for _, s in sources)])


PROGRAM = _program()
