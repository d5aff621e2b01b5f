"""A command that opens a shell where a task runs: text for a person to paste, never run here."""

from scripthut.config import PBS, SSH, AnyBackend, Slurm
from scripthut.core.quote import sh


def shell(backend: AnyBackend, job_id: str, node: str | None, working_dir: str) -> str | None:
    """The command for a job of this backend; None when its node is not known and must be."""
    if isinstance(backend, Slurm):
        return _over(backend.ssh, ["srun", "--overlap", "--jobid", job_id, "--pty", "bash", "-l"])
    if isinstance(backend, PBS):
        return _over(backend.ssh, ["ssh", "-t", node]) if node else None
    if working_dir.startswith("~/"):
        return f"cd ~/{sh([working_dir[2:]])}"  # a quoted ~ is no home
    return "cd" if working_dir == "~" else sh(["cd", working_dir])


def _over(ssh: SSH, words: list[str]) -> str:
    host = f"{ssh.user}@{ssh.host}" if ssh.user else ssh.host
    port = ["-p", str(ssh.port)] if ssh.port else []
    return sh(["ssh", "-t", *port, host, sh(words)])
