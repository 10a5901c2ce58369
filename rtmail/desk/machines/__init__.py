"""Programs that write to us: monitoring systems and development trackers (pure)."""
