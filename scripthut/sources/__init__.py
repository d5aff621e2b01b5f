"""Repositories, by git, on this machine."""
