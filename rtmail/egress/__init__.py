"""The way out: outbox rows to the relay, and their fate back to the store."""
