"""The audit: all that is stored, checked against the log (design section 5, invariant 2).

`log` holds entries, tiles and checkpoints to each other and to a checkpoint from outside; `rows`
holds one batch's observations to their leaves; `governance` says what was allowed to go; `tenant`
walks one tenant's batches and files; `run` puts it together, and can be interrupted.
"""
