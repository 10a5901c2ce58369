"""Opens the store that a config names: all that a command needs which only looks. `building` makes what works on it."""

from __future__ import annotations

from rtmail.config import Config
from rtmail.store import Store


def open_store(config: Config) -> Store:
    """Return the opened store; makes the state folder. Raises SchemaError, Deferred or OSError."""
    config.make_state()
    store = Store(config.store_url, config.state)
    store.open()
    store.start_numbers_at(config.settings.first_number)
    return store
