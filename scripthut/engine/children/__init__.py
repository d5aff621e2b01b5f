"""Child processes with limits, and what is done in each of them: for what others wrote."""
