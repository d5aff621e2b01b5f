"""Sources: looks at them, orders that become runs, directories that hold a commit."""
