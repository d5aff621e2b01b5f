"""What a run is made of, for its page: source, parameters, notices, and the runs it belongs to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from scripthut.core.refs import web_page
from scripthut.core.workflow import params
from scripthut.store import runs
from scripthut.store.making import reruns


@dataclass(frozen=True)
class About:
    """What does not change while a run goes on; None: it has none."""

    title: str | None
    source: str | None
    workflow: str | None
    git_repo: str | None
    git_branch: str | None
    git_sha: str | None
    folder: str | None
    log_dir: str | None  # on the backend; None: not placed yet
    params: Mapping[str, str]  # as they were chosen
    notices: Sequence[str]
    origin: str | None  # the run that it repeats
    reruns: Sequence[str]  # the runs that repeat it, the newest first

    @property
    def is_changed(self) -> bool:
        """Whether it is of a working copy with changes that no commit has."""
        return bool(self.git_sha and "-" in self.git_sha)

    @property
    def commit_page(self) -> str | None:
        """The commit's page on its forge; None: it is on none."""
        if not self.git_repo or not self.git_sha:
            return None
        return web_page(self.git_repo, self.git_sha.partition("-")[0])


def about(session: Session, run_id: str) -> About:
    """What a run is made of; NotFound."""
    run = runs.find_run(session, run_id)
    return About(
        title=run.title,
        source=run.source,
        workflow=run.workflow,
        git_repo=run.git_repo,
        git_branch=run.git_branch,
        git_sha=run.git_sha,
        folder=run.folder,
        log_dir=run.log_dir,
        params={name: params.text(value) for name, value in (run.params or {}).items()},
        notices=tuple(run.notices or ()),
        origin=run.origin,
        reruns=tuple(reruns.reruns_of(session, run_id)),
    )
