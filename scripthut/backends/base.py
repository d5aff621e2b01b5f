"""The seam to a place where jobs run."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Protocol

from scripthut.backends.asking import Ring
from scripthut.backends.node_work import Found
from scripthut.core.disk import Told, Wanted
from scripthut.core.folders import Folder, Placed
from scripthut.core.jobs import (
    Accepted,
    Got,
    Job,
    Observation,
    Piece,
    Rejected,
    RemoteFile,
    Token,
    Unreadable,
    Watch,
)
from scripthut.core.survey import Surveyed, Wish


class Backend(Protocol):
    """A place where jobs run. Every call takes many jobs: cost is per backend, not per task.

    Every call may raise Unreachable: then nothing is known, and nothing may be concluded.
    """

    @property
    def name(self) -> str: ...

    @property
    def commands(self) -> int: ...  # commands run on the machine since the start

    @property
    def ring(self) -> Ring: ...  # the last of them, for people

    @property
    def makes_arrays(self) -> bool: ...  # jobs that are alike may go in one submission

    def home(self) -> PurePosixPath: ...

    def submit(self, jobs: Sequence[Job]) -> Mapping[Token, Accepted | Rejected]:
        """Submit jobs, one command for many. A token missing from the answer: nobody knows."""
        ...

    def observe(self, watches: Sequence[Watch]) -> Observation:
        """See all jobs at once. One whose `job_id` is None is looked for by its token."""
        ...

    def read_pieces(self, pieces: Sequence[Piece]) -> Mapping[int, Got]:
        """Pieces of files alone, in one command: what came, by the place of the piece."""
        ...

    def survey(self, watches: Sequence[Watch], wish: Wish) -> tuple[Observation, Surveyed]:
        """The same look, with more in its one command: the user's whole queue, facts, pieces.

        Pieces of files beyond 16 MiB together are left for another look.
        """
        ...

    def cancel_listed(self, ids: Collection[str]) -> None:
        """Ask the scheduler to end jobs of the user's queue that are none of ours."""
        ...

    def cancel(self, jobs: Collection[Job]) -> None:
        """Withdraw the tokens of jobs, and ask the scheduler to end those that it has.

        Says nothing about whether they ended. A withdrawn token is claimed for no job, unless a
        job has claimed it already: whatever is or comes with it runs nothing.
        """
        ...

    def fetch(
        self, files: Collection[tuple[Job, RemoteFile]]
    ) -> Iterator[tuple[RemoteFile, bytes]]:
        """The contents of listed files, in one stream; a file that changed meanwhile is left out.

        The RemoteFile that comes back carries the size and mtime that belong to the bytes.
        """
        ...

    def read(self, paths: Mapping[str, str], most: int) -> Mapping[str, bytes | Unreadable]:
        """Whole files by absolute paths, up to `most` bytes each, in one command.

        One that is missing from the answer comes when it is asked for again.
        """
        ...

    def preview(self, job: Job) -> str:
        """The script that a job would be submitted with. Asks nothing; Refused as in `submit`."""
        ...

    def find(self, root: str, glob: str, besides: Sequence[str] = ()) -> Found:
        """The files below a directory that a glob means, and those `besides`, in one command.

        Refused when there is no such directory.
        """
        ...

    def place(self, folder: Folder, offset: int = 0, data: bytes = b"") -> Placed:
        """Bring a directory one step further, with a piece of its archive or without."""
        ...

    def drop(self, folders: Sequence[Folder], idle: timedelta) -> list[str | None]:
        """Delete directories in one command, but those that were asked for since `idle`.

        Says of each why it stays, in the end of a sentence; None: it is gone.
        """
        ...

    def hold(self, folders: Sequence[Folder], notes: Sequence[PurePosixPath] = ()) -> None:
        """Say in one command that directories are in use, so that no server drops them.

        `notes`: the directories of the notes of runs.
        """
        ...

    def disk(self, wanted: Wanted) -> Told:
        """Look at the disk, and delete what was ordered, one bounded step of each."""
        ...

    def close(self) -> None: ...
