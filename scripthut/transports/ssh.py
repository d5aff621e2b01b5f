"""A machine reached over SSH."""

import select
import threading
import time
from collections.abc import Sequence
from pathlib import PurePosixPath

import paramiko

from scripthut.core.errors import BadAnswer, Unreachable
from scripthut.core.jobs import Answer
from scripthut.transports.base import MIB
from scripthut.transports.deadline import Deadline, Monotonic
from scripthut.transports.frame import Frame
from scripthut.transports.person import LOG_IN, NeedsPerson, Person
from scripthut.transports.ssh_config import Target, resolve
from scripthut.transports.ssh_link import Link, connect

INTRODUCES_WITHIN = 30.0  # seconds
LONGEST_REST = 60.0  # seconds between attempts to connect to a host that does not answer
OPENS_WITHIN = 10.0  # seconds for a new channel on a connection that is there
FREES_WITHIN = 0.5  # seconds until sshd has freed the session of the command before
GRACE = 2.0  # seconds after the deadline in which a call ends by itself, before it is made to
PIECE = 32 * 1024  # bytes
SHORT, LONG = 0.01, 60.0  # seconds to wait for output, with and without input left to write
WHO = 'printf "%s/\\n%s\\n" "$HOME" "$(id -un)"'

_Broken = (paramiko.SSHException, OSError, EOFError)


class SSH:
    """A host over SSH: one connection, made when first used and made anew after it broke."""

    def __init__(
        self, target: Target, now: Monotonic = time.monotonic, person: Person | None = None
    ) -> None:
        """Nothing is connected yet. `now` is the clock of the back-off.

        Where a login asks the `person` something, it is begun only when they are there.
        """
        self._person = person
        self._needs_person = False
        self._target = target
        self._now = now
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._is_closed = False
        self._who: tuple[PurePosixPath, str] | None = None
        self._commands = 0
        self._failures = 0
        self._retry_at = 0.0
        self._reason = ""

    @property
    def home(self) -> PurePosixPath:
        """The home directory there."""
        return self._login()[0]

    @property
    def user(self) -> str:
        """The login name there."""
        return self._login()[1]

    @property
    def commands(self) -> int:
        """Commands run there since the start."""
        return self._commands

    def introduce(self) -> tuple[str, str]:
        """The host's key, and the key of ours that opened; connects where nothing is open."""
        link, _ = self._connected(Deadline(INTRODUCES_WITHIN))
        key = link.transport.get_remote_server_key()
        return f"{key.get_name()} {key.fingerprint}", link.key

    @property
    def retry_in(self) -> float:
        """Seconds in which no attempt to connect is made; 0 when the next call makes one.

        They double with every failure, from 2 to LONGEST_REST; meanwhile calls raise the last
        reason at once.
        """
        return max(0.0, self._retry_at - self._now()) if self._failures else 0.0

    def run(
        self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 30, limit: int = 64 * MIB
    ) -> Answer:
        """Run words there and answer when their end was seen; see transports/base.py."""
        frame = Frame(argv, limit)
        deadline = Deadline(timeout)
        link, is_new = self._connected(deadline)
        if is_new and link.was_asked:
            deadline = Deadline(timeout)  # of the command alone
        link, channel = self._channel(deadline)
        watchdog = threading.Timer(deadline.left() + GRACE, link.close)  # exec has no timeout
        watchdog.daemon = True
        watchdog.start()
        try:
            self._commands += 1
            channel.exec_command(frame.line)
            _pump(link.host.where, channel, frame, stdin, deadline)
            is_over = channel.exit_status != -1  # a cut connection leaves -1
            return frame.answer(link.host.where, is_over)
        except _Broken as error:
            self._drop(link)
            raise Unreachable(_cut(link, deadline, error)) from error
        except Unreachable:
            self._drop(link)  # what is still on its way belongs to nobody
            raise
        finally:
            watchdog.cancel()
            channel.close()

    def close(self) -> None:
        """Leave for good, from any thread: a running call and every later one is Unreachable."""
        with self._lock:
            self._is_closed = True
            link, self._link = self._link, None
        if link is not None:
            link.close()

    def _login(self) -> tuple[PurePosixPath, str]:
        if self._who is None:
            answer = self.run(["sh", "-c", WHO])
            lines = answer.out.splitlines()
            if answer.code != 0 or len(lines) != 2 or not lines[0].startswith("/"):
                raise BadAnswer(
                    f"{self._target.host} does not say what the home directory is: "
                    f"{answer.out} {answer.err}".rstrip()
                )
            self._who = PurePosixPath(lines[0]), lines[1]
        return self._who

    def _channel(self, deadline: Deadline) -> tuple[Link, paramiko.Channel]:
        """A new channel; nothing was sent yet, so a connection found dead is made anew."""
        link, is_new = self._connected(deadline)
        try:
            return link, _open_session(link, deadline)
        except paramiko.ChannelException as error:
            raise Unreachable(
                f"{link.host.where} opens no further session ({error.text}): other programs share "
                "this login's MaxSessions, or it does not allow commands."
            ) from error
        except _Broken as error:
            self._drop(link)
            if is_new or deadline.is_over:
                raise Unreachable(_cut(link, deadline, error)) from error
        return self._channel(deadline)

    def _connected(self, deadline: Deadline) -> tuple[Link, bool]:
        """The connection, and whether it was made just now."""
        with self._lock:
            link = self._link
        if link is not None and link.is_open:
            return link, False
        if link is not None:
            self._drop(link)
        self._refuse()
        try:
            link = connect(resolve(self._target), deadline, self._person)
        except Unreachable as error:
            self._needs_person = isinstance(error, NeedsPerson)
            self._failures += 1
            self._retry_at = self._now() + min(LONGEST_REST, 2.0**self._failures)
            self._reason = str(error)
            raise
        with self._lock:
            self._failures, self._who = 0, None
            self._needs_person = link.was_asked
            self._reason = f"The connection to {link.host.where} has ended. {LOG_IN}"
            self._link = None if self._is_closed else link
        if self._is_closed:
            link.close()
            self._refuse()
        return link, True

    def _refuse(self) -> None:
        if self._is_closed:
            raise Unreachable(f"The connection to {self._target.host} was closed.")
        if self._needs_person and self._person is not None:
            if not self._person.is_there():
                raise NeedsPerson(self._reason)
        elif self.retry_in > 0:
            raise Unreachable(self._reason)

    def _drop(self, link: Link) -> None:
        with self._lock:
            if self._link is link:
                self._link = None
        link.close()


def _open_session(link: Link, deadline: Deadline) -> paramiko.Channel:
    retry = deadline.sooner(FREES_WITHIN)
    while True:
        try:
            wait = deadline.sooner(OPENS_WITHIN).left()
            return link.transport.open_session(timeout=wait)
        except paramiko.ChannelException:
            if retry.is_over:
                raise
            time.sleep(0.01)


def _cut(link: Link, deadline: Deadline, error: Exception) -> str:
    if deadline.is_over:
        return _late(link.host.where, deadline)
    why = str(error) or type(error).__name__
    return f"The connection to {link.host.where} broke: {why}."


def _late(where: str, deadline: Deadline) -> str:
    return f"{where} did not answer a command within {deadline.seconds:g} seconds."


def _pump(
    where: str, channel: paramiko.Channel, frame: Frame, stdin: bytes, deadline: Deadline
) -> None:
    """Write standard input and read both outputs at once, until the channel has ended."""
    channel.settimeout(0.0)
    poller = select.poll()
    poller.register(channel.fileno(), select.POLLIN)
    rest: memoryview | None = memoryview(stdin)
    while not deadline.is_over:
        was_closed = channel.closed  # asked first: what came before the end is read all the same
        _read(channel, frame)
        # A background process of the command may hold the channel open long after the end marks.
        if frame.is_complete or was_closed:
            return
        rest = _write(channel, rest)
        if channel.eof_received:
            time.sleep(0.001)  # the poll would not wait any more; the exit status comes at once
        else:
            poller.poll(1000 * min(deadline.left(), LONG if rest is None else SHORT))
    raise Unreachable(_late(where, deadline))


def _read(channel: paramiko.Channel, frame: Frame) -> None:
    while channel.recv_ready() or channel.recv_stderr_ready():
        if channel.recv_ready():
            frame.feed(out=channel.recv(PIECE))
        if channel.recv_stderr_ready():
            frame.feed(err=channel.recv_stderr(PIECE))


def _write(channel: paramiko.Channel, rest: memoryview | None) -> memoryview | None:
    """Write what the window takes; what is left, None when the end was sent too."""
    while rest and channel.send_ready():
        sent = channel.send(bytes(rest[:PIECE])) if not channel.closed else 0
        if sent == 0:
            return None
        rest = rest[sent:]
    if rest is not None and not rest:
        channel.shutdown_write()
        return None
    return rest
