"""From files and calls to appended units, and the runs that did it."""
