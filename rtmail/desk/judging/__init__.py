"""Who wrote, which request it is about, and what it proves: from a mail's evidence to the sender table's verdict (pure)."""
