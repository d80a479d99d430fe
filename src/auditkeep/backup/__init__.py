"""Backups: of database and objects, and, apart from them, of the key store (docs/adr/0027)."""
