"""Encoding of values from training libraries: devices, dtypes, tensors, random states, tables.

Classes are recognised by name, so that no library is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from runstore.model.params.callables import public_name
from runstore.model.params.encode_scalars import (
    ARRAY_LIMIT,
    numpy_array,
    refusal,
)
from runstore.model.values import blake2b

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runstore.model.params.encode_scalars import PartBuilder, Place, Tree, Way

_SHOWN_DIGITS = 8


def text_tree(value: Any, text: str, *counts: Tree) -> Tree:
    """Return class and text of a value; `counts` is part of the hash but not displayed."""
    return {"$text": [public_name(type(value)), text, *counts]}


def text_by_itself(builder: PartBuilder, value: Any, place: Place) -> Tree:
    """Return the tree of a value that is identified by its text."""
    text = str(value)
    return builder.by_type(value, place) if " at 0x" in text else text_tree(value, text)


def _structure(builder: PartBuilder, value: Any, place: Place) -> Tree:
    """Return class and layers of a model, or class and settings of an optimizer, with a note."""
    text = repr(value)
    if " at 0x" in text:
        return builder.by_type(value, place)
    builder.note(place, value, "its structure")
    return _digested(value, type(value).__name__, [text.encode()])


def _by_repr(_: PartBuilder, value: Any, __: Place) -> Tree:
    return text_tree(value, str(value), repr(value))


def _hidden(_: PartBuilder, value: Any, __: Place) -> Tree:
    """Return the representation of a value that hides a secret; all secrets count as equal."""
    return text_tree(value, repr(value))


def _time_zone(builder: PartBuilder, value: Any, place: Place) -> Tree:
    offset = value.utcoffset(None)
    return text_tree(value, str(value), builder.build(offset, place))


def _pattern(builder: PartBuilder, value: Any, place: Place) -> Tree:
    pattern = builder.build(value.pattern, place)
    return text_tree(value, str(value.pattern), pattern, int(value.flags))


def _slice(builder: PartBuilder, value: Any, place: Place) -> Tree:
    parts = ("start", "stop", "step")
    return {
        "__class__": "slice",
        **{one: builder.build(getattr(value, one), place) for one in parts},
    }


def _file(builder: PartBuilder, value: Any, place: Place) -> Tree:
    name = getattr(value, "name", None)  # files in memory have none
    if name is None:
        return builder.by_type(value, place)
    return text_tree(value, str(name), str(getattr(value, "mode", "")))


def _logger(_: PartBuilder, value: Any, __: Place) -> Tree:
    return text_tree(value, value.name)


def _random_state(text: Callable[[Any], str], state: Callable[[Any], Any]) -> Way:
    """Return an encoder for a random number generator, including its state."""

    def way(_: PartBuilder, value: Any, __: Place) -> Tree:
        return _digested(value, text(value), [repr(_plain(state(value))).encode()])

    return way


def _plain(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _plain(state[key]) for key in sorted(state)}
    if isinstance(state, (list, tuple)):
        return [_plain(one) for one in state]
    return state.tolist() if hasattr(state, "tolist") else state


def _digested(value: Any, text: str, parts: Iterable[Any]) -> Tree:
    """Return class and text of a value, with the beginning of a digest that identifies it."""
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    found = digest.hexdigest()
    return text_tree(value, f"{text} {found[:_SHOWN_DIGITS]}", found)


# Arrays


def _array(builder: PartBuilder, value: Any, place: Place) -> Tree:
    """Return the elements of an array, or a digest with a note if it is large."""
    if value.size <= ARRAY_LIMIT:
        return numpy_array(builder, value, place)
    if value.dtype.hasobject:
        why = f"an array of {value.size:,} objects cannot be stored; the limit is {ARRAY_LIMIT:,}"
        raise refusal(place, why, value)
    little = value.astype(value.dtype.newbyteorder("<"), order="C", copy=False)
    return _large(builder, value, place, memoryview(little.reshape(-1).view("u1")))


def _large(builder: PartBuilder, value: Any, place: Place, contents: Any) -> Tree:
    dtype = str(value.dtype).rpartition(".")[2]
    shape = " x ".join(str(int(one)) for one in value.shape)
    builder.note(place, value, "its digest")
    return _digested(value, f"{dtype} array of {shape}", [contents])


def _tensor(builder: PartBuilder, value: Any, place: Place) -> Tree:
    """Return the number of a tensor without dimensions, the elements of others."""
    if str(value.layout) != "torch.strided" or value.is_quantized or value.is_meta:
        return builder.by_type(value, place)
    plain = value.detach().cpu()
    plain = plain.resolve_conj().resolve_neg()
    if plain.dim() == 0:
        return builder.build(plain.item(), place)
    if plain.numel() <= ARRAY_LIMIT:
        kind = "c" if plain.is_complex() else "f" if plain.is_floating_point() else "i"
        kind = "b" if str(plain.dtype) == "torch.bool" else kind
        shape = [int(one) for one in plain.shape]
        return {"$array": [kind, shape, builder.build(plain.tolist(), place)]}
    as_bytes = plain.contiguous().flatten().view(sys.modules["torch"].uint8)
    return _large(builder, value, place, memoryview(as_bytes.numpy()))


def _array_like(builder: PartBuilder, value: Any, place: Place) -> Tree:
    """Return the tree of an array of jax, tensorflow and similar, which numpy can convert."""
    return builder.build(sys.modules["numpy"].asarray(value), place)


def is_array_like(value: Any) -> bool:
    """Check whether numpy, if it is loaded, can convert a value to an array."""
    kind = type(value)
    parts = ("__array__", "dtype", "shape")
    return "numpy" in sys.modules and all(hasattr(kind, one) for one in parts)


def _table(builder: PartBuilder, value: Any, place: Place) -> Tree:
    """Return shape and digest of a pandas table or column, with a note."""
    try:
        hashes = sys.modules["pandas"].util.hash_pandas_object(value, index=True)
    except TypeError:  # cells without a hash, such as lists
        return builder.by_type(value, place)
    names = [str(one) for one in getattr(value, "columns", [value.shape[1:] or value.name])]
    builder.note(place, value, "its digest")
    contents = [hashes.to_numpy().astype("<u8").tobytes(), repr(names).encode()]
    shape = " x ".join(map(str, value.shape))
    return _digested(value, f"table of {shape}", contents)


LIBRARY_WAYS: dict[str, Way] = {
    "datetime.timezone": _time_zone,
    "datetime.tzinfo": text_by_itself,
    "re.Pattern": _pattern,
    "builtins.slice": _slice,
    "builtins.ellipsis": text_by_itself,
    "builtins.NotImplementedType": text_by_itself,
    "_io._IOBase": _file,
    "logging.Logger": _logger,
    "ipaddress._IPAddressBase": text_by_itself,
    "pydantic.networks._BaseUrl": text_by_itself,
    "pydantic.networks._BaseMultiHostUrl": text_by_itself,
    "pydantic_core._pydantic_core.Url": text_by_itself,
    "pydantic_core._pydantic_core.MultiHostUrl": text_by_itself,
    "pydantic.types._SecretBase": _hidden,
    "pydantic.types.SecretField": _hidden,  # version 1
    "pydantic.v1.types.SecretField": _hidden,
    "sqlalchemy.engine.url.URL": _hidden,
    "starlette.datastructures.Secret": _hidden,
    "random.Random": _random_state(lambda _: "Random", lambda value: value.getstate()),
    "numpy.ndarray": _array,
    "numpy.dtype": text_by_itself,
    "numpy.random._generator.Generator": _random_state(
        lambda value: type(value.bit_generator).__name__, lambda value: value.bit_generator.state
    ),
    "numpy.random.bit_generator.BitGenerator": _random_state(
        lambda value: type(value).__name__, lambda value: value.state
    ),
    "numpy.random.mtrand.RandomState": _random_state(
        lambda _: "RandomState", lambda value: value.get_state()
    ),
    "torch.Tensor": _tensor,
    "torch.device": text_by_itself,
    "torch.dtype": text_by_itself,
    "torch.layout": text_by_itself,
    "torch.memory_format": text_by_itself,
    "torch.nn.modules.module.Module": _structure,
    "torch.optim.optimizer.Optimizer": _structure,
    "torch._C.Generator": _random_state(
        lambda value: str(value.device), lambda value: value.get_state()
    ),
    "pandas.DataFrame": _table,
    "pandas.core.frame.DataFrame": _table,
    "pandas.Series": _table,
    "pandas.core.series.Series": _table,
    "pandas.api.typing.NAType": text_by_itself,
    "pandas._libs.missing.NAType": text_by_itself,
    "pandas.Interval": text_by_itself,
    "pandas._libs.interval.Interval": text_by_itself,
    "pandas.Period": text_by_itself,
    "pandas._libs.tslibs.period._Period": text_by_itself,
    "pandas._libs.tslibs.offsets.BaseOffset": _by_repr,
    "pandas.core.dtypes.base.ExtensionDtype": _by_repr,
    "pandas.api.extensions.ExtensionDtype": _by_repr,
}
ARRAY_LIKE: Way = _array_like
