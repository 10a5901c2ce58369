"""The doors by which mail comes in; all end in the spool."""
