"""Pieces of files that tasks wrote -> what their pages show."""
