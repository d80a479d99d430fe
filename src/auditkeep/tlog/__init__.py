"""The transparency log's mathematics: pure RFC 6962 and C2SP, no product words, no I/O of its own.

`merkle` (tree, proofs) → `note` (signed text) → `checkpoint` (what is signed) → `tiles` (storage).
"""
