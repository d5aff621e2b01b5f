"""Beside the cycles: people are told, old files go."""
