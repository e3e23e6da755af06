"""Every error class has an exit code of its own row."""

from runstore import errors
from runstore.cli.exit_codes import EXIT_CODES, exit_code_of


def family(kind):
    """Yield the classes of ours; a test may have made others."""
    if kind.__module__ == "runstore.errors":
        yield kind
    for one in kind.__subclasses__():
        yield from family(one)


def test_no_class_is_missing():
    assert set(EXIT_CODES) == set(family(errors.RunstoreError))


def test_every_class_has_a_code_of_its_own():
    codes = [one.code for one in family(errors.RunstoreError)]

    assert len(codes) == len(set(codes))


def test_a_command_tells_its_own_exit_code():
    missing = errors.CommandNotFoundError("no", exit_code=126)

    assert exit_code_of(missing) == 126
    assert exit_code_of(errors.RunNotFoundError("no")) == 3
