"""Functions that are called in threads at the same time."""

import threading


def at_once(functions):
    """Call each of these functions in a thread of its own; all have ended on return."""
    threads = [threading.Thread(target=one) for one in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
