"""Code of the program and of libraries may raise anything; recording continues."""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from runstore import Store, StoreWarning, parameter_set
from runstore.artifacts.previews import preview_of
from runstore.capture.machine import packages
from runstore.capture.machine.system import SystemProbe
from runstore.capture.program.command import argument_texts
from runstore.errors import InvalidValueError, UsageError, attempt, shown
from runstore.model.logged.calls import unreadable
from runstore.model.logged.values import metric_step, metric_time
from runstore.model.params.build import parameter_sets


class OddError(Exception):
    """No error that anything here could name; even its text raises."""

    def __str__(self):
        raise OddError


class Odd:
    """Raises whenever it is asked for anything."""

    def _raise(self, *_arguments):
        raise OddError

    __repr__ = __str__ = __index__ = __float__ = __len__ = __fspath__ = _raise
    keys = __getitem__ = __iter__ = __array__ = shape = property(_raise)


class OddInt(int):
    """A number that cannot be shown."""

    def __repr__(self):
        raise OddError


class OddMapping(Mapping):
    """Parameters whose name cannot be read."""

    def __getitem__(self, key):
        if key == "name":
            raise OddError
        return 1

    def __iter__(self):
        return iter(("lr",))

    def __len__(self):
        return 1


class OddFinder:
    def find_spec(self, *_arguments):
        return None

    def find_distributions(self, *_arguments):
        raise OddError


def test_an_exception_has_a_substitute():
    seen = []

    def otherwise(error):
        seen.append((error, sys.exc_info()[1]))
        return "substitute"

    error = OddError()

    def work():
        raise error

    assert attempt(work, otherwise) == "substitute"
    assert seen == [(error, error)]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_request_to_end_is_passed_on(kind):
    def work():
        raise kind

    with pytest.raises(kind):
        attempt(work, lambda _: None)


def test_values_that_cannot_be_shown_are_named_by_their_type():
    assert shown(Odd()) == "<Odd>"
    assert argument_texts([Odd(), "a"]) == ("<Odd>", "a")
    assert "OddError: …" in str(unreadable(OddError()))


@pytest.mark.parametrize("convert", [metric_step, metric_time])
def test_conversions_that_raise_are_refused_values(convert):
    with pytest.raises(InvalidValueError, match="<Odd> is not a"):
        convert(Odd())


def test_parameters_that_cannot_be_read_are_refused_by_their_place():
    class Numbers(list):
        def __iter__(self):
            yield 1
            raise OddError

    with pytest.raises(InvalidValueError, match=r"params\.a\[1\]: .* \(OddError: …\)"):
        parameter_set({"a": Numbers()})


class Keyed:
    """Attributes by key, of which all others raise a KeyError, as in many classes of settings."""

    def __init__(self, **values):
        self.__dict__.update(values)

    def __getattr__(self, name):
        raise KeyError(name)


class Computed:
    """Settings with properties that raise."""

    name = ratio = property(lambda _: 1 / 0)

    def __init__(self):
        self.lr = 0.1


@dataclass
class Unset:
    lr: float = 0.1

    def __getattribute__(self, name):
        if name == "lr":
            raise OddError
        return super().__getattribute__(name)


class Unrepresented(Computed):
    hash_representations = property(lambda _: 1 / 0)


class Unread(list):
    def __iter__(self):
        raise OddError


@pytest.mark.parametrize("make", [lambda: Keyed(lr=0.1), Computed])
def test_properties_that_raise_are_no_parameters(make):
    (one,) = parameter_sets(make())

    assert (one.name, one.values) == ("default", {"lr": 0.1})
    assert one.hash == parameter_set({"lr": 0.1}).hash


@pytest.mark.parametrize("make", [Unset, Unrepresented, Unread])
def test_a_set_that_cannot_be_read_is_refused(make):
    with pytest.raises(InvalidValueError, match=r"^params: the value cannot be read \("):
        parameter_sets(make())


def test_a_preview_that_cannot_be_made_is_left_out(tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(b"no image")

    assert preview_of(path, "image/png", Odd()) is None


def test_a_broken_finder_costs_no_other_package(monkeypatch):
    before, _ = packages.distributions()
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, OddFinder()])

    found, broken = packages.distributions()

    assert set(found) <= set(before)
    assert len(broken) == len(sys.path)
    assert all("OddError" in one for one in broken)


def test_a_probe_that_raises_gives_no_values():
    probe = SystemProbe()
    probe._psutil, probe._nvml, probe._root = Odd(), Odd(), Odd()

    assert probe.sample() == {}


def test_a_run_goes_on(tmp_path):
    with Store.open(tmp_path) as store:
        run = store.start("odd", params=OddMapping(), capture=False)
        run.attach_logging("odd")
        with pytest.warns(StoreWarning, match=r"cannot be read: OddError: …"):
            run.log_points("loss", Odd())
        with pytest.warns(StoreWarning, match=r"got <Odd>"):
            run.log(Odd())
        logging.getLogger("odd").warning("one")
        run.finish("error", error=Odd())

        assert (run.record.params, run.record.error) == ({"lr": 1}, "<Odd>")
        assert [line.text for line in run.record.output] == ["WARNING odd: one"]


@pytest.mark.parametrize("kind", ["text", "image", "histogram"])
def test_media_that_cannot_be_read_are_a_warning(tmp_path, kind):
    with Store.open(tmp_path) as store:
        run = store.start("odd", capture=False)
        log = getattr(run, f"log_{kind}")
        with pytest.warns(StoreWarning, match=rf"The {kind} 'a' was not logged: "):
            log("a", Odd())
        run.is_strict = True
        with pytest.raises(InvalidValueError):
            log("a", Odd())
        run.finish()

        assert run.record.status.value == "complete"


def test_refusals_name_a_value_by_its_type(tmp_path):
    with Store.open(tmp_path) as store:
        run = store.start("odd", capture=False)
        for work in (store.get, store.find, lambda odd: run.tags.update({odd: 1})):
            with pytest.raises((InvalidValueError, UsageError), match="<OddInt>"):
                work(OddInt(3))
        run.finish()


def test_a_record_that_cannot_be_formatted_costs_no_other(tmp_path, capsys):
    logger = logging.getLogger("odd")
    with Store.open(tmp_path) as store:
        run = store.start("odd", capture=False)
        run.attach_logging(logger)
        logger.propagate = False
        try:
            logger.warning("%s", Odd())
            logger.warning("two")
        finally:
            logger.propagate = True
        run.finish()

        assert [line.text for line in run.record.output] == ["WARNING odd: two"]
    assert "OddError" in capsys.readouterr().err
