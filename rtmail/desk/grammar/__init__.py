"""How people write commands, questions and filled-in forms, and what stands in them (pure)."""
