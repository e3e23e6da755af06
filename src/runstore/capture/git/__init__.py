"""What git knows of the code, and the code beyond the commit."""
