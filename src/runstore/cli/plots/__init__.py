"""Drawing metrics: in a terminal, into picture files, as a page."""
