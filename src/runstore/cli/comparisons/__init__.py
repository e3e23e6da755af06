"""What `diff`, `compare` and `why` share: their options, their lines, their JSON."""
