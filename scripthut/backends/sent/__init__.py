"""What is sent to login nodes and runs there: Python 3.4's standard library, and one another."""
