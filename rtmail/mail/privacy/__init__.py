"""What must not lie in a ticket system: found in a text, and taken out of a mail (pure)."""
