"""One scheduler's dialect a file: commands out, text in."""
