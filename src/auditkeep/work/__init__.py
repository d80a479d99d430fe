"""Work that outlives a request: an outbox of jobs, and the pump that runs them.

A job is a re-trigger, never the truth: it carries ids only, may run more than once, and what it
runs decides from stored state what is still to be done (design section 8).
"""
