"""One module per source: bytes -> observations. Pure but for `files`, which reads them."""
