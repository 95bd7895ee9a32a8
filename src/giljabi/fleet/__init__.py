"""Several vehicles in the air: who flies where, agreed among them, without a server."""
