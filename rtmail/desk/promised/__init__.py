"""What is promised to the customer, and how that comes to its end: cadence, consent, waiting, closing, delivery (pure)."""
