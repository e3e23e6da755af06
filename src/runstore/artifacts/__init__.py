"""Files and objects that runs save, and the data that they read."""
