"""Raw bytes become what a mail says: parts, text, quotes, what sort of sender it shows (pure)."""
