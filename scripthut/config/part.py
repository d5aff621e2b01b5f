"""What every section of the configuration is: frozen, and without keys that nobody knows."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A section, or an entry of one."""

    model_config = ConfigDict(extra="forbid", frozen=True)
