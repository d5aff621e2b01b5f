"""What belongs to later versions: read, kept, and answered with one sentence each."""

from collections.abc import Iterable, Mapping

from pydantic import ConfigDict, Field

from scripthut.config.part import Part

SECTIONS = {
    "stacks": "software environments are not built by this version: tasks find what is installed",
    "agent": "coding agents are not started by this version",
    "pricing": "costs are shown for a backend that has `prices` of its own",
    "cache": "every task runs: results of earlier runs are not reused by this version",
}
BACKENDS = {
    "batch": "AWS Batch is not used by this version: tasks cannot run there",
    "ec2": "EC2 is not used by this version: tasks cannot run there",
    "ecs": "ECS is not used by this version: tasks cannot run there",
}
SETTINGS = {
    "filter_user": "the queue's page shows the jobs of the user who logs in, or all users'",
}


class LaterBackend(Part):
    """A backend of a kind that this version cannot use."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    name: str = Field(min_length=1)


def is_later(entry: object) -> bool:
    """Whether an entry of `backends` is of a kind that this version cannot use."""
    return isinstance(entry, Mapping) and entry.get("type") in BACKENDS


def notes(
    sections: Iterable[str], backends: Iterable[LaterBackend], settings: Iterable[str]
) -> list[str]:
    """One sentence about each thing that is read and not used."""
    return [
        *(f"{key}: is kept; {SECTIONS[key]}" for key in sections),
        *(f"backend {one.name}: is kept; {BACKENDS[one.type]}" for one in backends),
        *(f"settings.{key}: is kept; {SETTINGS[key]}" for key in settings),
    ]
