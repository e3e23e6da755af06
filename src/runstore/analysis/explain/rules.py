"""What may explain a changed result: the rules with their weights, causes, and what is known.

Weights from 0 to 100 are rules of thumb, not probabilities; the same runs always get the same
ones. What other runs of the experiment say is added to the weight of the rule, or taken off.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from runstore.analysis.compare.code_changes import CodeChanges
from runstore.analysis.compare.differences import Difference
from runstore.analysis.explain.judging import Judgement


class Rule(Enum):
    """How likely one kind of difference explains another result; the likeliest kind first.

    Attributes:
        weight: 0 to 100.
        what: The kind of difference, for the table of rules.
    """

    def __init__(self, weight: int, what: str) -> None:
        self.weight = weight
        self.what = what

    SHOWN = 95, "anything; runs that differ in nothing else moved the metric half as much or more"
    STATUS_EARLY = 92, "how the runs ended, where the metric was the same up to there"
    LENGTH = 91, "a parameter about the length of a run, where the metric was the same up to there"
    LAST_STEP_SAME = 90, "the last step of the metric, which was the same up to there"
    STATUS = 85, "how the runs ended"
    SEED_CHANCE = 83, "a seed, where six pairs of the same parameters differ as much or more"
    CHANCE = 82, "chance: six pairs of the same parameters differ as much or more"
    CALLED_FILE = 80, "code: the script, or a file that is on the command line"
    IMPORTED_FILE = 78, "code: a file that the program imports"
    OTHER_DATA = 75, "data that was read: other contents"
    SOURCE_FILE = 60, "code: a source file of which it is not known whether it is imported"
    DATA_OF_ONE = 60, "data that only one of them read"
    SEED_ALONE = 60, "a seed, where nothing else that counts differs"
    LIKELY_PARAMETER = 58, "a parameter that is known to move most results, such as lr"
    PARAMETER = 55, "any other parameter"
    SETTINGS_FILE = 55, "code: a file of settings"
    SEED_HALF = 52, "a seed, where runs of the same parameters differ half as much or more"
    CHANCE_HALF = 50, "chance: runs of the same parameters differ half as much or more"
    EXPERIMENT = 50, "the experiment"
    LAST_STEP = 50, "the last step of the metric, which was not quite the same up to there"
    COMPUTING_MAJOR = 50, "a package that computes: its major version"
    UNREAD_CODE = 45, "code that cannot be read here"
    COMMAND_ALONE = 45, "the command line, where no parameters are recorded"
    PACKAGE_SOURCE = 45, "a package from another commit or place, of the same version"
    COMPUTING_MINOR = 40, "a package that computes: its minor version"
    DATA_UNKNOWN = 40, "data that was read: no digest of it"
    SEED = 35, "a seed"
    STATUS_LATE = 30, "how the runs ended, where the metric differs before that"
    PYTHON = 25, "the major or minor version of Python"
    GPU = 25, "graphics cards"
    COMPUTING_BUILD = 20, "a package that computes: another build of the same version"
    PACKAGE_MAJOR = 20, "any other package: its major version"
    MACHINE = 20, "the kind of processor, such as x86_64"
    LAST_STEP_OTHER = 15, "the last step of the metric, which differs before that"
    COMPUTING_PATCH = 15, "a package that computes: its patch version"
    SEED_HARDLY = 12, "a seed, where runs of the same parameters hardly differ"
    COMMAND = 12, "the command line, where parameters are recorded"
    COSMETIC = 10, "a parameter about logging, names or speed"
    COMPUTING_PRESENCE = 10, "a package that computes, in one of them only"
    PACKAGE_MINOR = 10, "any other package: its minor version"
    CPU_MODEL = 10, "the model of the processor"
    NUMBER_TYPE = 8, "a parameter that is the same number of another type"
    PYTHON_PATCH = 8, "the patch version of Python"
    UNREACHED_FILE = 6, "code: only files that the program does not import"
    OTHER_FILE = 5, "code: only tests, documents or other files"
    PACKAGE_BUILD = 5, "any other package: another build of the same version"
    CPU = 5, "how many processors"
    SYSTEM = 5, "the operating system"
    PACKAGE_PATCH = 4, "any other package: its patch version"
    HOST_NAME = 4, "the name of the machine"
    SAME_MEANING = 3, "code: only comments, layout or messages"
    ENVIRONMENT = 3, "the rest of the environment"
    FOLDER = 3, "the folder it ran in"
    RENAMED = 2, "a parameter under another name, with the same value"
    PACKAGE_PRESENCE = 2, "any other package, in one of them only"
    SAME_DATA = 2, "the same data under another name"
    SET_NAME = 2, "what a parameter set or its file is called"
    PYTHON_PLACE = 2, "where Python or the code is installed"
    HOST = 1, "the rest of the machine, and of a batch job"
    USER = 1, "the user"
    SAME_FILES = 0, "commits with the same files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a ranking looks at, besides what differs.

    Attributes:
        metric: The result; None without one.
        change: How much it changed; NaN or infinity where one of both is no number, None without.
        judgement: What other runs say of what differs.
        code: What differs in the code; None where that was not asked for.
        commands: The command lines of both runs.
        steps: The steps that both runs logged the metric last at; None without.
        apart: How far apart the metric was at the last step that both have, as a share of the
            change; None if that is not known.
        has_params: Whether parameters of either run are recorded.
    """

    metric: str | None = None
    change: float | None = None
    judgement: Judgement = field(default_factory=lambda: Judgement({}, None))
    code: CodeChanges | None = None
    commands: tuple[str, ...] = ()
    steps: tuple[int, int] | None = None
    apart: float | None = None
    has_params: bool = True


_MOST_UNSHOWN = 94


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that may explain a changed result.

    Attributes:
        rule: By which it has its weight.
        difference: What differs.
        reason: Why it has this weight, as part of a sentence.
        points: What other runs add to the weight of the rule, or take off.
    """

    rule: Rule
    difference: Difference
    reason: str
    points: float = 0.0

    @property
    def weight(self) -> int:
        """How likely, 0 to 100; a rule of thumb."""
        if self.rule is Rule.SHOWN:
            return self.rule.weight
        return round(max(0, min(_MOST_UNSHOWN, self.rule.weight + self.points)))
