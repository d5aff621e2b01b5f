"""Rules that make a task's environment, as they stand in the configuration."""

from scripthut.core.workflow.rules import EnvRule

EnvRules = list[EnvRule]
EnvGroups = dict[str, EnvRules]

__all__ = ["EnvGroups", "EnvRule", "EnvRules"]
