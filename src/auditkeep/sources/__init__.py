"""One module per source: bytes -> observations. `parse` is pure; `files` and `get` are not."""
