"""Rules with weights, causes of a changed result, and the facts they depend on.

Weights from 0 to 100 are rules of thumb, not probabilities; the same runs always get the same
ones. Evidence from other runs is added to the weight of the rule or subtracted.
"""

from __future__ import annotations

from enum import Enum

from runstore.analysis.compare.code_changes import CodeChanges
from runstore.analysis.compare.differences import Difference
from runstore.analysis.explain.judging import Judgement
from runstore.value_classes import dataclass, field


class Rule(Enum):
    """Kinds of differences, the likeliest cause of another result first.

    Attributes:
        weight: 0 to 100.
        kind: The kind of difference, for the table of rules.
    """

    def __init__(self, weight: int, kind: str) -> None:
        self.weight = weight
        self.kind = kind

    SHOWN = 95, "any difference; alone, it changed the metric half as much or more in other runs"
    STATUS_EARLY = 92, "the status, if the metric was the same until one run ended"
    LENGTH = 91, "a parameter about the length of a run, if the metric was the same until then"
    LAST_STEP_SAME = 90, "the last step of the metric, if the values before are the same"
    STATUS = 85, "the status"
    SEED_CHANCE = 83, "a seed, if six pairs of equal parameters differ as much or more"
    CHANCE = 82, "chance, if six pairs of equal parameters differ as much or more"
    CALLED_FILE = 80, "code: the script, or a file on the command line"
    IMPORTED_FILE = 78, "code: a file that the program imports"
    OTHER_DATA = 75, "input data: different contents"
    SOURCE_FILE = 60, "code: a source file that may be imported"
    DATA_OF_ONE = 60, "input data of only one run"
    SEED_ALONE = 60, "a seed, if no other difference counts"
    LIKELY_PARAMETER = 58, "a parameter that affects most results, such as lr"
    PARAMETER = 55, "any other parameter"
    SETTINGS_FILE = 55, "code: a file of settings"
    SEED_HALF = 52, "a seed, if runs of equal parameters differ half as much or more"
    CHANCE_HALF = 50, "chance, if runs of equal parameters differ half as much or more"
    EXPERIMENT = 50, "the experiment"
    LAST_STEP = 50, "the last step of the metric, if the values before are similar"
    COMPUTING_MAJOR = 50, "the major version of a package that computes"
    UNREAD_CODE = 45, "code that cannot be read here"
    COMMAND_ALONE = 45, "the command line, if no parameters are recorded"
    PACKAGE_SOURCE = 45, "a package from another commit or place, of the same version"
    COMPUTING_MINOR = 40, "the minor version of a package that computes"
    DATA_UNKNOWN = 40, "input data: no digest"
    SEED = 35, "a seed"
    NAME = 30, "the parameter called name, which may be a label"
    STATUS_LATE = 30, "the status, if the metric differs before one run ended"
    PYTHON = 25, "the major or minor version of Python"
    GPU = 25, "graphics cards"
    COMPUTING_BUILD = 20, "another build of a package that computes"
    PACKAGE_MAJOR = 20, "the major version of any other package"
    MACHINE = 20, "the kind of processor, such as x86_64"
    LAST_STEP_OTHER = 15, "the last step of the metric, if the values before differ"
    COMPUTING_PATCH = 15, "the patch version of a package that computes"
    SEED_HARDLY = 12, "a seed, if runs of equal parameters hardly differ"
    COMMAND = 12, "the command line, if parameters are recorded"
    COSMETIC = 10, "a parameter about logging, names or speed"
    COMPUTING_PRESENCE = 10, "a package that computes, installed for only one run"
    PACKAGE_MINOR = 10, "the minor version of any other package"
    CPU_MODEL = 10, "the model of the processor"
    NUMBER_TYPE = 8, "a parameter with the same number, but another type"
    PYTHON_PATCH = 8, "the patch version of Python"
    UNREACHED_FILE = 6, "code: only files that the program does not import"
    OTHER_FILE = 5, "code: only tests, documents or other files"
    PACKAGE_BUILD = 5, "another build of any other package"
    CPU = 5, "the number of processors"
    SYSTEM = 5, "the operating system"
    PACKAGE_PATCH = 4, "the patch version of any other package"
    HOST_NAME = 4, "the name of the machine"
    SAME_MEANING = 3, "code: only comments, layout or messages"
    ENVIRONMENT = 3, "the rest of the environment"
    FOLDER = 3, "the working folder"
    RENAMED = 2, "a parameter under another name, with the same value"
    PACKAGE_PRESENCE = 2, "any other package, installed for only one run"
    SAME_DATA = 2, "the same data under another name"
    SET_NAME = 2, "the name of a parameter set or of its file"
    PYTHON_PLACE = 2, "the location of Python or of the code"
    HOST = 1, "the rest of the machine, and of a batch job"
    USER = 1, "the user"
    SAME_FILES = 0, "commits with the same files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Facts that a ranking depends on, besides the differences.

    Attributes:
        metric: The result; None without one.
        change: Its change; NaN or infinity if a value is not a number, None without a metric.
        judgement: Evidence of other runs about the differences.
        code: The differences of the code; None if not requested.
        commands: The command lines of both runs.
        steps: The steps that both runs logged the metric last at; None without.
        apart: Difference of the metric at the last common step, as a share of the change; None if
            unknown.
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
    """A possible cause of a changed result.

    Attributes:
        rule: The rule of its weight.
        difference: The difference.
        reason: The reason for its weight, as part of a sentence.
        points: Evidence from other runs, added to the weight of the rule.
    """

    rule: Rule
    difference: Difference
    reason: str
    points: float = 0.0

    @property
    def weight(self) -> int:
        """Its weight from 0 to 100; a rule of thumb."""
        if self.rule is Rule.SHOWN:
            return self.rule.weight
        return round(max(0, min(_MOST_UNSHOWN, self.rule.weight + self.points)))
