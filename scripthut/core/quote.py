"""The one place where words become a line for a shell."""

import shlex
from collections.abc import Sequence


def sh(argv: Sequence[str]) -> str:
    """Quote words so that a POSIX shell reads exactly them.

    >>> print(sh(["echo", "it's $HOME", ""]))
    echo 'it'"'"'s $HOME' ''
    """
    return shlex.join(argv)
