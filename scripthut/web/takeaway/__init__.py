"""What leaves the site whole: a zip, and a run as one page."""
