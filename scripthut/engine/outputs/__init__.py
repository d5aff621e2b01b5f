"""What tasks wrote: fetched and kept, rendered, measured, and done with."""
