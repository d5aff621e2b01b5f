"""Places where jobs run."""

from pathlib import Path

from scripthut import config
from scripthut.backends.base import Backend
from scripthut.backends.cluster import ClusterBackend
from scripthut.backends.local import LocalBackend
from scripthut.backends.local_room import Room
from scripthut.backends.machine import whole
from scripthut.config import AnyBackend, Settings
from scripthut.schedulers.base import Dialect
from scripthut.schedulers.pbs import PBS
from scripthut.schedulers.slurm import Slurm
from scripthut.transports.base import Transport
from scripthut.transports.openssh import OpenSSH
from scripthut.transports.person import Person
from scripthut.transports.ssh import SSH
from scripthut.transports.ssh_config import Target


def build(part: AnyBackend, settings: Settings, person: Person | None = None) -> Backend:
    """Make the backend that a part of the configuration describes; connects to nothing yet.

    `person` answers what a login asks; None: nobody does.
    """
    backend = _build(part, settings, person)
    backend.ring.secret_names = frozenset(settings.secret_names)
    return backend


def _build(part: AnyBackend, settings: Settings, person: Person | None) -> Backend:
    limits = settings.outputs.limits()
    match part:
        case config.Slurm() | config.PBS():
            way = transport(part, settings, person)
            cluster = ClusterBackend(part.name, dialect(part), way, limits)
            cluster.clones = part.clone_dir
            return cluster
        case config.Local():
            machine = whole()
            cpus = part.cpus or max(machine.cpus, part.max_concurrent)  # who asks for more gets it
            room = Room(cpus, part.memory or machine.memory)
            return LocalBackend(part.name, limits, part.login_shell, room=room)


def dialect(part: config.Slurm | config.PBS) -> Dialect:
    """How to speak to a cluster's scheduler."""
    extra = tuple(part.extra_args)
    match part:
        case config.Slurm():
            names, default = part.partition_map, part.default_partition
            return Slurm(part.account, names, default, part.login_shell, extra)
        case config.PBS():
            return PBS(part.account, part.queue, part.login_shell, extra=extra)


def transport(
    part: config.Slurm | config.PBS, settings: Settings, person: Person | None = None
) -> Transport:
    """The way to a cluster's login node; connects to nothing yet."""
    target = _target(part.ssh)
    if part.transport == "openssh":
        return OpenSSH(target, settings.data_dir.expanduser().absolute() / "ssh")
    return SSH(target, person=person)


def _target(ssh: config.SSH) -> Target:
    def own(path: Path | None) -> Path | None:
        return path.expanduser() if path else None

    return Target(
        host=ssh.host,
        port=ssh.port,
        user=ssh.user,
        key_path=own(ssh.key_path),
        cert_path=own(ssh.cert_path),
        known_hosts=own(ssh.known_hosts),
    )
