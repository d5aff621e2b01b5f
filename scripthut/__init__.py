"""scripthut: run a repository's workflows on your own cluster and read what the tasks wrote."""

__version__ = "0.1.0"
