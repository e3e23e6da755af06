"""Names of captured documents and facts with a run's code beyond its commit."""

from __future__ import annotations

# Documents with code beyond the commit.
CODE_DOCUMENTS = ("patch", "untracked")
# Changed files that are not in the patch: their fingerprints.
OTHER_CHANGES = "patch.others"
# New files whose text was not stored: their fingerprints.
OTHER_FILES = "untracked.others"
LEFT_OUT = "untracked.rest"
# Whether more of them are missing, as a reason.
CUT = "untracked.cut"
# Tracked files among them: git was told to ignore their changes.
HIDDEN = "git.hidden"
# Modules in the work tree that git ignores: their fingerprints.
IGNORED = "untracked.ignored"
# Documents of modules missing in the commit and in these: loaded at the start, and later.
MODULES = "modules"
LATE_MODULES = "modules.late"
# And of modules imported by a command of another process, as far as its code shows.
IMPORTED_MODULES = "modules.imported"
# Number of modules outside the work tree at the start.
OUTSIDE = "command.outside_modules"
# A run that was continued with different code.
RESUMED_CODE = "resumed.code"
# And one with other new files that do not count as code.
RESUMED_FILES = "resumed.files"
