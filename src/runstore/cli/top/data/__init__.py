"""Reading and editing the store for the screens, in threads."""
