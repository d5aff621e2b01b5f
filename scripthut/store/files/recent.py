"""Fragments that were made not long ago, by what they were made of: kept for whoever asks next."""

from collections import OrderedDict
from threading import Lock

BYTES = 16 * 1024 * 1024  # of all of them, in each process


class Recent:
    """The newest fragments, as many as there is room for. For any thread."""

    def __init__(self, most: int = BYTES) -> None:
        """`most`: bytes of all together."""
        self._most = most
        self._made: OrderedDict[str, bytes] = OrderedDict()
        self._held = 0
        self._lock = Lock()

    def get(self, tag: str) -> bytes | None:
        """The fragment of that tag; None when it has to be made."""
        with self._lock:
            if tag in self._made:
                self._made.move_to_end(tag)
            return self._made.get(tag)

    def put(self, tag: str, page: bytes) -> bytes:
        """Keep a fragment, in place of those that nobody has asked for in the longest time."""
        with self._lock:
            self._held += len(page) - len(self._made.pop(tag, b""))
            self._made[tag] = page
            while self._held > self._most:
                _, gone = self._made.popitem(last=False)
                self._held -= len(gone)
        return page
