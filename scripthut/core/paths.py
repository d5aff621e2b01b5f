"""Where a run writes on a backend: the layout that users and existing clusters know."""

import re
from pathlib import PurePosixPath

from scripthut.core.jobs import Paths, Token


def log_dir(home: PurePosixPath, run_name: str) -> PurePosixPath:
    """The directory of a run's logs; runs of one name share it.

    >>> str(log_dir(PurePosixPath("/home/ada"), "study/../my sims"))
    '/home/ada/.cache/scripthut/logs/study/_/my_sims'
    """
    parts = [_part(part) for part in run_name.split("/") if part]
    return home.joinpath(".cache", "scripthut", "logs", *parts)


def within(folder: str | None, path: str) -> str:
    """A path of a document within the directory that it belongs to; None: the home.

    `~` alone is that directory. What begins with `/` or `~/` belongs to no directory.

    >>> [within("/proj", p) for p in ("~", "sims", "~/sims", "/data")], within(None, "~")
    (['/proj', '/proj/sims', '~/sims', '/data'], '~')
    """
    if folder is None or path.startswith(("/", "~/")):
        return path
    return folder if path in ("~", ".", "./") else f"{folder.rstrip('/')}/{path}"


def _part(text: str) -> str:
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "_", text)[:64]
    return "_" if cleaned.strip(".") == "" else cleaned


def for_task(  # noqa: PLR0913
    logs: PurePosixPath,
    run_id: str,
    key: str,
    attempt: int,
    token: Token,
    out: PurePosixPath | None = None,
    err: PurePosixPath | None = None,
) -> Paths:
    """The paths of one attempt. `out` and `err` override the default log files.

    A later attempt gets `@n` behind its key, which no task id can hold.

    >>> p = for_task(PurePosixPath("/l"), "abcdefgh", "sim.1", 2, "abcdefgh.0.2")
    >>> str(p.out), str(p.fragment)
    ('/l/scripthut_abcdefgh_sim.1@2.out', '/l/outputs/abcdefgh/_run/sim.1@2.md')
    """
    name = key if attempt == 1 else f"{key}@{attempt}"
    outputs = logs / "outputs" / run_id / name
    state = logs / ".scripthut" / run_id
    return Paths(
        logs=logs,
        out=out or logs / f"scripthut_{run_id}_{name}.out",
        err=err or logs / f"scripthut_{run_id}_{name}.err",
        outputs=outputs,
        summary=outputs / "task-summary.md",
        fragment=logs / "outputs" / run_id / "_run" / f"{name}.md",
        progress=logs / "outputs" / run_id / "_run" / f"{name}.progress",
        state=state,
        note=state / f"{token}.exit",
        claim=state / f"{token}.claim",
    )
