"""`python -m scripthut.cli` is the `scripthut` command."""

from scripthut.cli import main

main()
