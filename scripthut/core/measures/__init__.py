"""Numbers in what tasks wrote: what they are, their tables and plots, and how runs differ."""
