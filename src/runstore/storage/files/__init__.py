"""Files of a store: objects, output, spool, locks."""
