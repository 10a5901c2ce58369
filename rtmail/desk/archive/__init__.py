"""Old mail, and requests of another tracker, that are moved in (pure)."""
