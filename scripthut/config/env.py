"""Rules that make a task's environment, as they stand in the configuration: kept, not applied."""

from pydantic import Field

from scripthut.config.part import Part


class EnvRule(Part):
    """One step of an ordered chain: where `when` holds, what is set, appended or said first."""

    when: dict[str, str | list[str]] = Field({}, alias="if")
    include: list[str] = []  # names of groups, put in here
    stacks: list[str] = []
    set: dict[str, str] = {}
    append: dict[str, str] = {}
    init: str = ""  # lines of bash


EnvRules = list[EnvRule]
EnvGroups = dict[str, EnvRules]
