"""Trust in stores and folders of other users, and private folders."""
