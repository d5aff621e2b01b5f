"""Templates, compiled once for all applications that the tests of a process make."""

from types import CodeType

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket


class _Compiled(BytecodeCache):
    """Keeps code by the digest of the source that it was made of."""

    def __init__(self) -> None:
        self.code: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self.code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self.code[bucket.key, bucket.checksum] = bucket.code


_compiled = _Compiled()


def compiled(app: Flask) -> Flask:
    """The same application, whose templates are compiled unless one before it did."""
    app.jinja_env.bytecode_cache = _compiled
    return app
