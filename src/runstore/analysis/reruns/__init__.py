"""Earlier runs that did the same, or nearly the same."""
