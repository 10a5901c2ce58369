"""rtmail: a request tracker that lives in e-mail."""

__version__ = "0.1.0"
