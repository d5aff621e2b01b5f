"""What tasks cost: hours of CPUs and GPUs, and money where prices are known."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_GPU = re.compile(r"(?:gres[:/])?gpus?(?:[:=][A-Za-z_][\w.-]*)?(?:[:=](\d{1,6}))?(?:\([^)]*\))?")


@dataclass(frozen=True)
class Hours:
    """Hours of CPUs and of GPUs."""

    cpu: float = 0.0
    gpu: float = 0.0

    def __add__(self, other: "Hours") -> "Hours":
        return Hours(self.cpu + other.cpu, self.gpu + other.gpu)


@dataclass(frozen=True)
class Rates:
    """What an hour of a CPU and of a GPU costs; `currency` as it is written behind a number."""

    cpu_hour: float = 0.0
    gpu_hour: float = 0.0
    currency: str = ""

    def amount(self, hours: Hours) -> float:
        """The price of these hours, in the currency.

        >>> Rates(0.02, 1.5).amount(Hours(cpu=100, gpu=2))
        5.0
        """
        return hours.cpu * self.cpu_hour + hours.gpu * self.gpu_hour


def gpus(gres: str | None) -> int:
    """The GPUs in a task's generic resources, as Slurm writes them.

    >>> [gpus(g) for g in (None, "gpu", "gpu:2", "gpu:v100:1,shard:4", "gpu:a100:2,gpu:h100:1")]
    [0, 1, 2, 1, 3]
    """
    found = (_GPU.fullmatch(part.strip()) for part in (gres or "").split(","))
    return sum(int(match[1] or 1) for match in found if match)


def used(spec: Mapping[str, object], seconds: float) -> Hours:
    """The hours of a task of this specification that holds what it asked for so long."""
    cpus, gres = spec.get("cpus"), spec.get("gres")
    hours = seconds / 3600
    cards = gpus(gres) if isinstance(gres, str) else 0
    return Hours((cpus if isinstance(cpus, int) else 1) * hours, cards * hours)
