"""The bytes that are kept, what was made of them, and pieces on their way."""
