"""Stand-ins for what cannot be had, and houses built without a config file."""
