"""The page: runs in a browser, and the API that it is made with."""
