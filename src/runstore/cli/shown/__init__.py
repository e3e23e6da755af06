"""How `runstore show` lays out a run: on a screen, in a pipe and through a pager."""
