"""Writing of tensors in the safetensors format, without the library.

Source: README of https://github.com/huggingface/safetensors, section "Format", 0.6 (2025).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from runstore.errors import InvalidValueError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "complex64": "C64",
    "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8",
    "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
_ALIGNED_BYTES = 8


def write_safetensors(thing: Any, path: Path) -> None:
    """Write a mapping of names to tensors or arrays, or the state of a model.

    Raises:
        InvalidValueError: It contains anything else.
    """
    state = thing.state_dict() if hasattr(thing, "state_dict") else thing
    if not isinstance(state, Mapping):
        raise _refused(f"a {type(thing).__name__}")
    header: dict[str, Any] = {}
    if any(hasattr(one, "detach") for one in state.values()):
        header["__metadata__"] = {"format": "pt"}
    contents, begin = [], 0
    for name, one in state.items():
        given = getattr(one, "dtype", None)
        dtype = _DTYPES.get(getattr(given, "name", str(given)).rpartition(".")[2])
        if dtype is None or not isinstance(name, str):
            raise _refused(f"{name!r}, a {type(one).__name__}")
        part = _bytes_of(one)
        offsets = [begin, begin + len(part)]
        header[name] = {"dtype": dtype, "shape": list(one.shape), "data_offsets": offsets}
        contents.append(part)
        begin += len(part)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _ALIGNED_BYTES)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.writelines(contents)


def _bytes_of(one: Any) -> memoryview:
    if hasattr(one, "detach"):
        import torch

        flat = one.detach().cpu().contiguous().flatten()
        return memoryview(flat.view(torch.uint8).numpy())
    little = one.astype(one.dtype.newbyteorder("<"), order="C", copy=False)
    return memoryview(little.reshape(-1).view("u1"))


def _refused(what: str) -> InvalidValueError:
    return InvalidValueError(
        f"Expected tensors by name for a safetensors file, got {what}.",
        kept="Nothing was saved.",
        hint="Save it as .pt, or save state_dict() alone.",
    )
