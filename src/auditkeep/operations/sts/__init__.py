"""A small AWS STS: who am I, and session credentials in exchange for a proof of who one is."""
