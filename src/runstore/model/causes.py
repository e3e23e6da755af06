"""What may explain a changed result: the rules with their weights, causes, and what is known.

Weights from 0 to 100 are rules of thumb, not probabilities; the same runs always get the same
ones. Where other runs of the experiment show what a parameter does, that counts more than rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from runstore.model.code_changes import CodeChanges
from runstore.model.differences import Difference


class Rule(Enum):
    """How likely one kind of difference explains another result; the likeliest kind first.

    Attributes:
        weight: 0 to 100.
        what: The kind of difference, for the table of rules.
    """

    def __init__(self, weight: int, what: str) -> None:
        self.weight = weight
        self.what = what

    MOVED_AS_MUCH = 95, "a parameter; among other runs it moved the metric half as much or more"
    STATUS = 85, "how the runs ended"
    CALLED_FILE = 80, "code: a file that is on the command line"
    OTHER_DATA = 75, "data that was read: other contents"
    MOVED_OTHER_WAY = 70, "a parameter; among other runs it moved the metric the other way"
    CHANCE = 70, "chance: runs of the same parameters differ as much or more"
    MOVED_LESS = 65, "a parameter; among other runs it moved the metric less than that"
    SOURCE_FILE = 60, "code: any other source file"
    DATA_OF_ONE = 60, "data that only one of them read"
    SEED_ALONE = 60, "a seed, where nothing else that counts differs"
    PARAMETER = 55, "a parameter of which other runs show nothing"
    SETTINGS_FILE = 55, "code: a file of settings"
    CHANCE_HALF = 50, "chance: runs of the same parameters differ half as much or more"
    EXPERIMENT = 50, "the experiment"
    LAST_STEP = 50, "the step at which the metric was logged last"
    COMPUTING_MAJOR = 50, "a package that computes: its major version"
    UNREAD_CODE = 45, "code that cannot be read here"
    COMMAND_ALONE = 45, "the command line, where no parameters are recorded"
    PACKAGE_SOURCE = 45, "a package from another commit or place, of the same version"
    COMPUTING_MINOR = 40, "a package that computes: its minor version"
    DATA_UNKNOWN = 40, "data that was read: no digest of it"
    SEED = 35, "a seed"
    PYTHON = 25, "the major or minor version of Python"
    GPU = 25, "graphics cards"
    MOVED_HARDLY = 20, "a parameter; among other runs it hardly moved the metric"
    COMPUTING_BUILD = 20, "a package that computes: another build of the same version"
    PACKAGE_MAJOR = 20, "any other package: its major version"
    MACHINE = 20, "the kind of processor, such as x86_64"
    COMPUTING_PATCH = 15, "a package that computes: its patch version"
    COMMAND = 12, "the command line, where parameters are recorded"
    COSMETIC = 10, "a parameter about logging, names or speed"
    COMPUTING_PRESENCE = 10, "a package that computes, in one of them only"
    PACKAGE_MINOR = 10, "any other package: its minor version"
    CPU_MODEL = 10, "the model of the processor"
    NUMBER_TYPE = 8, "a parameter that is the same number of another type"
    PYTHON_PATCH = 8, "the patch version of Python"
    OTHER_FILE = 5, "code: only tests, documents or other files"
    PACKAGE_BUILD = 5, "any other package: another build of the same version"
    CPU = 5, "how many processors"
    SYSTEM = 5, "the operating system"
    PACKAGE_PATCH = 4, "any other package: its patch version"
    HOST_NAME = 4, "the name of the machine"
    ENVIRONMENT = 3, "the rest of the environment"
    FOLDER = 3, "the folder it ran in"
    PACKAGE_PRESENCE = 2, "any other package, in one of them only"
    SAME_DATA = 2, "the same data under another name"
    SET_NAME = 2, "what a parameter set or its file is called"
    PYTHON_PLACE = 2, "where Python or the code is installed"
    HOST = 1, "the rest of the machine, and of a batch job"
    USER = 1, "the user"
    SAME_FILES = 0, "commits with the same files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """What other runs show of a parameter: pairs that differ in no other one.

    Attributes:
        pairs: How many pairs of runs; at least one.
        typical: How much the metric moved between the two, without its sign: the median.
        signed: The median in the direction from the first run's value to the second's; None where
            no direction can be told.
        is_same_code: Whether both of each pair were made by the same code.
    """

    pairs: int
    typical: float
    signed: float | None = None
    is_same_code: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a ranking looks at, besides what differs.

    Attributes:
        metric: The result; None without one.
        change: How much it changed; None where that is no number.
        moves: Evidence by key of the parameter.
        chance: The same for runs in which no parameter differs; None without such runs.
        code: What differs in the code; None where that was not asked for.
        commands: The command lines of both runs.
        steps: The steps that both runs logged the metric last at; None without.
        has_params: Whether parameters of either run are recorded.
    """

    metric: str | None = None
    change: float | None = None
    moves: Mapping[str, Moves] = field(default_factory=dict)
    chance: Moves | None = None
    code: CodeChanges | None = None
    commands: tuple[str, ...] = ()
    steps: tuple[int, int] | None = None
    has_params: bool = True

    def with_evidence(self, moves: Mapping[str, Moves], chance: Moves | None) -> Setting:
        """Return the same with what other runs show."""
        return replace(self, moves=moves, chance=chance)


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that may explain a changed result.

    Attributes:
        rule: By which it has its weight.
        difference: What differs.
        reason: Why it has this weight, as part of a sentence.
    """

    rule: Rule
    difference: Difference
    reason: str

    @property
    def weight(self) -> int:
        """How likely, 0 to 100; a rule of thumb."""
        return self.rule.weight
