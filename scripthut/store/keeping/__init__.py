"""The whole store: its migrations, copies of it, and what goes."""
