"""Keys and what is done with them: sealing, derivation, wrapping, signing, durable key files."""
