"""scripthut.yaml -> typed settings; errors name the path and the line: `backends[0].ssh.host`."""

from datetime import timedelta

from scripthut.config.backends import PBS, SSH, AnyBackend, Local, Slurm
from scripthut.config.env import EnvGroups, EnvRule, EnvRules
from scripthut.config.file import LATER, Config, parse
from scripthut.config.layers import Resolved, Where, environment, load, resolve
from scripthut.config.live import Live, News
from scripthut.config.notifications import AnyChannel, Mail, Ntfy, Slack, Webhook
from scripthut.config.settings import LOOPBACK, Access, Outputs, Settings
from scripthut.config.sources import AnySource, GitSource, PathSource

__all__ = [
    "LATER",
    "LOOPBACK",
    "PBS",
    "SSH",
    "Access",
    "AnyBackend",
    "AnyChannel",
    "AnySource",
    "Config",
    "EnvGroups",
    "EnvRule",
    "EnvRules",
    "GitSource",
    "Live",
    "Local",
    "Mail",
    "News",
    "Ntfy",
    "Outputs",
    "PathSource",
    "Resolved",
    "Settings",
    "Slack",
    "Slurm",
    "Webhook",
    "Where",
    "environment",
    "load",
    "parse",
    "poll_interval",
    "resolve",
]


def poll_interval(config: Config) -> timedelta:
    """The slowest pace at which a backend is asked."""
    return timedelta(seconds=config.settings.poll_interval)
