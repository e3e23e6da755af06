"""What another version of a package or another machine says about a result."""

import pytest

from runstore.analysis.compare.differences import MISSING, Difference
from runstore.analysis.explain.environment import environment_cause, is_minor, package_cause
from runstore.analysis.explain.rules import Rule


def package(name, old, new):
    return package_cause(Difference("packages", name, (old, new)))


def fact(key, old="a", new="b"):
    return environment_cause(Difference("environment", key, (old, new)))


@pytest.mark.parametrize(
    ("old", "new", "computing", "other"),
    [
        ("1.2.3", "2.2.3", Rule.COMPUTING_MAJOR, Rule.PACKAGE_MAJOR),
        ("1!1.2.3", "1.2.3", Rule.COMPUTING_MAJOR, Rule.PACKAGE_MAJOR),
        ("1.2.3", "1.3.3", Rule.COMPUTING_MINOR, Rule.PACKAGE_MINOR),
        ("1.2", "1.2.1", Rule.COMPUTING_PATCH, Rule.PACKAGE_PATCH),
        ("1.2.3", "1.2.4", Rule.COMPUTING_PATCH, Rule.PACKAGE_PATCH),
        ("1.2.3.4", "1.2.3.5", Rule.COMPUTING_PATCH, Rule.PACKAGE_PATCH),
        ("1.2", "1.2.0", Rule.COMPUTING_BUILD, Rule.PACKAGE_BUILD),
        ("1.2.3+cpu", "1.2.3+cu121", Rule.COMPUTING_BUILD, Rule.PACKAGE_BUILD),
        ("1.2.3rc1", "1.2.3", Rule.COMPUTING_BUILD, Rule.PACKAGE_BUILD),
        ("no version", "1.2", Rule.COMPUTING_MAJOR, Rule.PACKAGE_MAJOR),
        ("no version", "none either", Rule.COMPUTING_BUILD, Rule.PACKAGE_BUILD),
        (MISSING, "1.2.3", Rule.COMPUTING_PRESENCE, Rule.PACKAGE_PRESENCE),
        ("1.2.3", MISSING, Rule.COMPUTING_PRESENCE, Rule.PACKAGE_PRESENCE),
        ("1.2 @ git+x@1", "1.2 @ git+x@2", Rule.PACKAGE_SOURCE, Rule.PACKAGE_SOURCE),
        ("1.2", "1.2 @ file:///x", Rule.PACKAGE_SOURCE, Rule.PACKAGE_SOURCE),
        ("1.2 @ git+x@1", "1.3 @ git+x@2", Rule.COMPUTING_MINOR, Rule.PACKAGE_MINOR),
    ],
)
def test_a_package_counts_by_the_step_between_its_versions(old, new, computing, other):
    assert package("numpy", old, new).rule is computing
    assert package("numpy", new, old).rule is computing
    assert package("rich", old, new).rule is other


def test_the_reason_names_the_step_and_that_the_package_computes():
    assert package("torch", "1.2", "1.3").reason == "a minor change of a package that computes"
    assert package("rich", "1.2", "1.3").reason == "a minor change"
    assert package("torch", "1 @ a", "1 @ b").reason == (
        "the package was installed from another place or commit"
    )


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("3.10.2", "3.11.2", Rule.PYTHON),
        ("2.7.2", "3.7.2", Rule.PYTHON),
        ("3.10.2", "3.10.3", Rule.PYTHON_PATCH),
        ("3.10.2+", "3.10.2", Rule.PYTHON_PATCH),
    ],
)
def test_a_minor_version_of_python_counts_as_much_as_a_major_one(old, new, rule):
    assert fact("python.version", old, new).rule is rule


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("gpu.names", Rule.GPU),
        ("host.machine", Rule.MACHINE),
        ("host.cpu_model", Rule.CPU_MODEL),
        ("host.cpu_count", Rule.CPU),
        ("host.platform", Rule.SYSTEM),
        ("host.name", Rule.HOST_NAME),
        ("host.memory", Rule.HOST),
        ("scheduler.job_id", Rule.HOST),
        ("python.executable", Rule.PYTHON_PLACE),
        ("git.root", Rule.PYTHON_PLACE),
        ("env.OMP_NUM_THREADS", Rule.ENVIRONMENT),
    ],
)
def test_a_fact_counts_by_what_it_is_about(key, rule):
    assert fact(key).rule is rule


@pytest.mark.parametrize(
    ("section", "key", "minor"),
    [
        ("environment", "host.name", True),
        ("environment", "scheduler.job_id", True),
        ("environment", "host.machine", False),
        ("environment", "python.version", False),
        ("packages", "host.name", False),
        ("params", "verbose", True),
        ("params", "lr", False),
    ],
)
def test_pairs_of_runs_may_differ_in_what_hardly_moves_a_result(section, key, minor):
    assert is_minor(section, key) is minor
