"""Outages and planned work that concern many: whom, what they are told, how it ends (pure)."""
