"""Checking what Auditkeep hands out, offline, with public keys only: small enough to trust alone.

Imports nothing but `tlog`, the signing part of `crypto`, and the ground floor.
"""
