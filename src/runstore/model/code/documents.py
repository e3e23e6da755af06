"""Names of the captured documents and facts that hold the code of a run beyond its commit."""

from __future__ import annotations

# Documents that hold the code beyond the commit.
CODE_DOCUMENTS = ("patch", "untracked")
# New files whose text was not kept: their fingerprints.
OTHER_FILES = "untracked.others"
LEFT_OUT = "untracked.rest"
# Modules in the work tree that git ignores: their fingerprints.
IGNORED = "untracked.ignored"
# Documents of the modules that neither the commit nor these hold: loaded by the start, and later.
MODULES = "modules"
LATE_MODULES = "modules.late"
# And of those that a command of another process imports, as far as its code tells.
IMPORTED_MODULES = "modules.imported"
# How many were outside of the work tree at the start.
OUTSIDE = "command.outside_modules"
# A run that went on with other code than it began with.
RESUMED_CODE = "resumed.code"
