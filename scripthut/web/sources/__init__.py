"""Repositories and directories: their pages, the orders that are written down, their JSON."""
