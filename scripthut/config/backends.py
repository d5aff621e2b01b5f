"""The sections that describe places where jobs run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from scripthut.config import machine
from scripthut.config.env import EnvGroups, EnvRules
from scripthut.config.machine import processors
from scripthut.config.part import Part
from scripthut.core import units
from scripthut.core.costs import Rates
from scripthut.core.workflow.spec import TaskSpec

CLONES = "~/scripthut-repos"


def _memory(value: object) -> object:
    return units.memory(str(value)) if isinstance(value, str | int) else value


class Prices(Part):
    """What an hour costs here, in a currency as it is written behind a number."""

    cpu_hour: float = Field(0.0, ge=0)
    gpu_hour: float = Field(0.0, ge=0)
    currency: str = Field("", max_length=8)

    @property
    def rates(self) -> Rates:
        """These prices, to reckon with."""
        return Rates(self.cpu_hour, self.gpu_hour, self.currency)


class SSH(Part):
    """How to reach a login node. What is not said here is asked of ~/.ssh/config (`ssh -G`)."""

    host: str
    port: int | None = Field(None, ge=1, le=65535)
    user: str | None = None
    key_path: Path | None = None
    cert_path: Path | None = None
    known_hosts: Path | None = None


class Slurm(Part):
    """A Slurm cluster reached over SSH."""

    type: Literal["slurm"]
    name: str = Field(min_length=1)
    ssh: SSH
    transport: Literal["ssh", "openssh"] = "ssh"  # openssh: by the user's own `ssh`
    account: str | None = None
    partition_map: dict[str, str] = {}
    default_partition: str | None = None
    login_shell: bool = False
    extra_args: list[str] = []  # for every submission: "--qos=high"
    clone_dir: str = CLONES
    max_concurrent: int = Field(100, ge=1)
    prices: Prices | None = None  # None: costs are not shown
    env: EnvRules = []
    env_groups: EnvGroups = {}


class PBS(Part):
    """A cluster under OpenPBS, PBS Pro or Torque, reached over SSH. `queue`: for all tasks."""

    type: Literal["pbs"]
    name: str = Field(min_length=1)
    ssh: SSH
    transport: Literal["ssh", "openssh"] = "ssh"  # openssh: by the user's own `ssh`
    account: str | None = None
    queue: str | None = None  # None: what a task names as its partition, else the server's default
    login_shell: bool = False
    extra_args: list[str] = []  # for every submission: "--qos=high"
    clone_dir: str = CLONES
    max_concurrent: int = Field(100, ge=1)
    prices: Prices | None = None  # None: costs are not shown
    env: EnvRules = []
    env_groups: EnvGroups = {}


class Local(Part):
    """The server's own machine."""

    type: Literal["local"]
    name: str = Field(min_length=1)
    login_shell: bool = False
    clone_dir: str = CLONES
    max_concurrent: int = Field(default_factory=lambda: len(processors()), ge=1)
    cpus: int | None = Field(None, ge=1)  # None: all that the machine has
    memory: Annotated[int | None, BeforeValidator(_memory)] = None  # bytes; None: likewise
    prices: Prices | None = None  # None: costs are not shown
    env: EnvRules = []
    env_groups: EnvGroups = {}

    def beyond(self, tasks: Sequence[TaskSpec]) -> list[str]:
        """Sentences for what tasks ask for, and this machine does not have."""
        return machine.beyond(
            tasks, self.cpus or len(processors()), self.memory or machine.memory()
        )


AnyBackend = Annotated[Slurm | PBS | Local, Field(discriminator="type")]
