"""A TCP proxy that can delay, stall and cut what passes through it.

As a program (`tcp_proxy.py LISTEN TARGET`, two ports) it only passes on; it then needs nothing
but the standard library, and no file beside it.
"""

import contextlib
import socket
import sys
import threading
import time

PIECE = 64 * 1024


class Proxy:
    """A proxy before a port of this machine, from `with` to the end of it.

    Attributes may be changed at any time: `delay` in seconds a piece in each direction; when
    `answered`, the bytes of answers that have passed, reaches `cut_after`, the connection ends
    at that byte, once; when it reaches `stall_after`, `is_stalled` becomes true, and while it is,
    nothing passes and nothing is closed.
    """

    def __init__(self, target: int, port: int = 0) -> None:
        self.target = target
        self.delay = 0.0
        self.cut_after: int | None = None
        self.stall_after: int | None = None
        self.is_stalled = False
        self.connections = 0
        self.answered = 0
        self._ends: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def serve(self) -> None:
        """Take connections until the listener is closed."""
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            self._ends |= {near, far}
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for way in ((near, far, False), (far, near, True)):
                threading.Thread(target=self._pass, args=way, daemon=True).start()

    def cut(self) -> None:
        """End all connections now."""
        for end in list(self._ends):
            self._end(end)

    def _end(self, end: socket.socket) -> None:
        self._ends.discard(end)
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()

    def _pass(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                time.sleep(self.delay)
                if is_answer and self.stall_after is not None:
                    ahead = max(0, self.stall_after - self.answered)
                    if len(piece) > ahead:
                        sink.sendall(piece[:ahead])
                        self.answered += ahead
                        piece = piece[ahead:]
                        self.stall_after, self.is_stalled = None, True
                while self.is_stalled:
                    time.sleep(0.01)
                if is_answer and self.cut_after is not None:
                    piece = piece[: max(0, self.cut_after - self.answered)]
                sink.sendall(piece)
                if is_answer:
                    self.answered += len(piece)
                    if self.cut_after is not None and self.answered >= self.cut_after:
                        self.cut_after = None
                        break
        self._end(source)
        self._end(sink)


if __name__ == "__main__":
    Proxy(target=int(sys.argv[2]), port=int(sys.argv[1])).serve()
