"""Telling people: what happened becomes rows, rows become messages, messages are handed over.

A row is committed before anything is sent and says that it was tried before it is; so a message
may come twice when the server dies in between, with the same `ident`, and is never forgotten.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime

from scripthut.config import Config
from scripthut.core.errors import NotFound, Refused, Unreachable
from scripthut.core.happenings import Interest
from scripthut.engine.beside.message import Writer
from scripthut.engine.lead import Lead
from scripthut.messengers import Messenger, build
from scripthut.store import messages
from scripthut.store.db import Session
from scripthut.store.files.kept import Kept
from scripthut.store.messages import Due

log = logging.getLogger(__name__)
Transaction = Callable[[], AbstractContextManager[Session]]


def notifier(config: Config, lead: Lead, kept: Kept) -> "Notifier":
    """What tells people by the present configuration, in the present leadership."""
    channels = {one.name: (one.interest, build(one)) for one in config.notifications}
    return Notifier(channels, (lead.reading, lead.fenced()), Writer(kept, config.site_url))


class Notifier:
    """All channels of a server. One thread at a time."""

    def __init__(
        self,
        channels: Mapping[str, tuple[Interest, Messenger]],
        transactions: tuple[Transaction, Transaction],
        writer: Writer,
    ) -> None:
        """`transactions`: to read, and to write while leading."""
        self._messengers = {name: messenger for name, (_, messenger) in channels.items()}
        self._interests = {name: interest for name, (interest, _) in channels.items()}
        self._reading, self._writing = transactions
        self._writer = writer

    def run(self, now: datetime) -> int:
        """Write down what there is to tell, send what is due; how many were sent."""
        with self._reading() as session:
            is_new = set(messages.known(session)) != set(self._interests)
            untold = messages.untold(session, self._interests, now)
            is_due = messages.is_due(session, now)
        if is_new or untold:
            with self._writing() as session:
                messages.register(session, self._interests, now)
                session.add_all(untold)
        if not untold and not is_due:
            return 0
        with self._writing() as session:
            due = messages.due(session, now)
        return sum(self._tell(one, now) for one in due)

    def _tell(self, due: Due, now: datetime) -> bool:
        messenger = self._messengers.get(due.channel)
        try:
            if messenger is None:
                raise Refused(f"There is no channel {due.channel} any more.")
            with self._reading() as session:
                message = self._writer.message(session, due, now)
            messenger.send(message)
        except (Unreachable, Refused, NotFound) as error:
            is_final = not isinstance(error, Unreachable)
            log.warning("not told run=%s channel=%s: %s", due.run_id, due.channel, error)
            with self._writing() as session:
                messages.not_sent(session, due.id, str(error), is_final)
            return False
        with self._writing() as session:
            messages.sent(session, due.id, now)
        log.info("told run=%s channel=%s what=%s", due.run_id, due.channel, due.what)
        return True
