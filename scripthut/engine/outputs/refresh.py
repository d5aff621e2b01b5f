"""What an older version made of kept files is made anew, some seconds a cycle."""

import logging
import time

from scripthut.core.files.heads import has_head
from scripthut.core.files.previews import RENDERED
from scripthut.core.markdown.policy import key
from scripthut.engine.base import Hands
from scripthut.engine.outputs import heads
from scripthut.engine.outputs.rendering import rendered
from scripthut.store import outputs
from scripthut.store.files import rendered as store
from scripthut.store.files.kept import NoRoom
from scripthut.store.files.rendered import Original

SECONDS = 1.0  # of a cycle: orders wait for as long
AT_ONCE = 200  # rows in one look

log = logging.getLogger(__name__)


class Refresher:
    """Goes once through all files of a backend, as far as a cycle has time for it."""

    def __init__(self, hands: Hands) -> None:
        """Begins with the first file."""
        self._hands = hands
        self._row = 0  # all rows up to this one are done
        self.is_done = False

    def run(self) -> int:
        """Go on for a while; how many documents were rendered anew."""
        until, done = time.monotonic() + SECONDS, 0
        try:
            while not self.is_done:
                for one in self._next():
                    done += self._render(one)
                    self._row = one.row
                    if time.monotonic() > until:
                        return done
        except NoRoom as error:
            log.warning("nothing is rendered anew for now: %s", error)
        return done

    def _next(self) -> list[Original]:
        with self._hands.reading() as session:
            found = store.after(session, self._hands.backend.name, self._row, AT_ONCE)
        self.is_done = not found
        return list(found)

    def _render(self, one: Original) -> bool:
        """Whether the file had to be rendered; how its columns begin is read where it is not."""
        if has_head(one.path):
            heads.read(self._hands.kept, one.sha256)
        wanted = key(one.sha256, outputs.folder_of(one.area, one.raw))
        is_old = one.kind in RENDERED and one.html != wanted
        if not is_old or not self._hands.kept.has(one.sha256):
            return False
        if rendered(self._hands.kept, one.area, one.raw, one.sha256) is None:
            return False
        with self._hands.writing() as session:
            store.set_html(session, one.row, one.sha256, wanted)
        return True
