"""The audit: all that is stored, checked against the log (design section 5, invariant 2).

`log` holds entries, tiles and checkpoints to each other and to a checkpoint from outside; `rows`
hashes and compares, `observations` holds what tail and segments keep to leaves and envelopes,
`files` ids and stored files; `catalog` reads batches; `governance` says what was allowed to go;
`tenant` walks one tenant; `run` puts it together, and can be interrupted.
"""
