"""What tasks wrote: the subtab, a page for each file, and the bytes on their way out."""
