"""A task's panel, a subtab a module, and what a person asks of a task."""
