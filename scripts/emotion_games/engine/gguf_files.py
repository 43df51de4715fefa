"""GGUF files: what their heads say of a model, and the folders that they are converted to.

The head is read without any other library, because it gives a model its name before any job
starts. The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import mmap
import os
import struct
from pathlib import Path
from typing import Any

from emotion_games.errors import UserError
from emotion_games.files import safe_name
from emotion_games.hashing import digest

SUFFIX = ".gguf"
# Increased with every change of `gguf_conversion` that gives a file another model.
CONVERSION = 1

# Formats of numbers by their type in the file.
_NUMBERS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q",
    12: "<d",
}  # fmt: skip
_TEXT, _ARRAY = 8, 9
# Version 1, which no file has any more, counted in 32 bits.
_VERSIONS = (2, 3)
# Names of the values of `general.file_type`.
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
    17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M",
    30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4", 39: "NVFP4",
    40: "Q1_0",
}  # fmt: skip


def read_header(path: Path) -> dict[str, Any]:
    """Return the numbers and texts in the head of a GGUF file by their keys; lists are left out.

    Raises:
        UserError: It cannot be read, or is no whole GGUF file.
    """
    try:
        # Opening a pipe would wait for its writer.
        if not os.path.isfile(path):
            raise UserError(f"{path}: not a regular file")
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _values(data, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except (struct.error, ValueError, LookupError, OverflowError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: not a GGUF file, or a damaged one; fetch it again") from error


def quantization(header: dict[str, Any]) -> str | None:
    """Return what most weights of a file are stored as, such as Q4_1; None if it does not say."""
    kind = header.get("general.file_type")
    return None if kind is None else _FILE_TYPES.get(kind, f"type {kind}")


def converted_name(name: str, content: str, dtype: str | None) -> str:
    """Return the name of the folder of a converted file, which depends on what it is made of.

    Args:
        name: The beginning.
        content: The SHA-256 of the file.
        dtype: The number format; None is float32.
    """
    return f"{safe_name(name)}-{digest([content, dtype or 'float32', CONVERSION])[:10]}"


def _values(data: mmap.mmap, path: Path) -> dict[str, Any]:
    magic, version, _, count = struct.unpack_from("<4sIQQ", data)
    if magic != b"GGUF" or version not in _VERSIONS:
        raise UserError(f"{path}: not a GGUF file of version {' or '.join(map(str, _VERSIONS))}")
    found, place = {}, struct.calcsize("<4sIQQ")
    for _ in range(count):
        key, place = _text(data, place)
        (kind,) = struct.unpack_from("<I", data, place)
        if kind == _ARRAY:
            place = _after_array(data, place + 4)
        elif kind == _TEXT:
            found[key], place = _text(data, place + 4)
        else:
            (found[key],) = struct.unpack_from(_NUMBERS[kind], data, place + 4)
            place += 4 + struct.calcsize(_NUMBERS[kind])
    return found


def _text(data: mmap.mmap, place: int) -> tuple[str, int]:
    (length,) = struct.unpack_from("<Q", data, place)
    end = place + 8 + length
    if end > len(data):
        raise ValueError("the file ends within a text")
    return data[place + 8 : end].decode(), end


def _after_array(data: mmap.mmap, place: int) -> int:
    """Return where an array ends."""
    kind, count = struct.unpack_from("<IQ", data, place)
    place += struct.calcsize("<IQ")
    if kind != _TEXT:
        return place + count * struct.calcsize(_NUMBERS[kind])
    for _ in range(count):
        (length,) = struct.unpack_from("<Q", data, place)
        place += 8 + length
    return place
