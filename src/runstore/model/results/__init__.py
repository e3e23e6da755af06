"""What operations on a store return."""
