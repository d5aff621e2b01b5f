"""What people write: documents of tasks, their parameters and environment rules."""
