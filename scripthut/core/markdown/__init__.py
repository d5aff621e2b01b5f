"""Markdown as GitHub reads it, and HTML that is safe to show."""
