"""Reading what runs printed: whole, by windows, and searched."""
