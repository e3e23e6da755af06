"""Files and objects saved by runs, and data used by them."""
