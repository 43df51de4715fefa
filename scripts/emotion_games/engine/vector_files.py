"""Files with one vector a layer: GGUF control vectors and safetensors.

A tensor `direction.<n>` is added to the output of decoder layer n, counted from 0, as llama.cpp and
repeng do. llama.cpp has none for layer 0. A safetensors file says in its metadata what it counts.
No tensor library is loaded, because a config is checked before any job starts.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emotion_games.engine.gguf_files import SUFFIX, read_header
from emotion_games.errors import UserError, shown

if TYPE_CHECKING:
    import numpy as np

SAFETENSORS = ".safetensors"
# The architecture of a GGUF file that holds vectors, and the beginning of its keys.
CONTROL_VECTOR = "controlvector"
# What the numbers of tensors count: outputs of decoder layers, or hidden states, of which number 0
# are the embeddings.
NUMBERING, DECODER_LAYER, HIDDEN_STATE = "layer_numbering", "decoder_layer", "hidden_state"
# Other keys of the metadata that are compared with a model. GGUF files of other tools have the
# first one.
HINT, MODEL_LAYERS, WEIGHTS = "model_hint", "model_layers", "weights_hash"
# llama.cpp reads these architectures as llama.
_AS_LLAMA = ("mistral", "mixtral")
_NAME = re.compile(r"direction\.(0|[1-9]\d{0,4})")
_PLAIN = "F32"


@dataclass(frozen=True)
class Vectors:
    """The vectors of a concept.

    Attributes:
        by_layer: By decoder layer, counted from 0, `(hidden,)` in float32.
        about: The metadata of the file.
    """

    by_layer: "Mapping[int, np.ndarray]"
    about: Mapping[str, str]


@dataclass(frozen=True)
class Target:
    """The model that vectors are for. None and an empty list are not known yet.

    Attributes:
        name: Its name in messages.
        depth: Number of decoder layers.
        hidden_size: Number of components of a hidden state.
        architecture: `model_type` of its config.
        weights_hash: See `models.weights_hash`.
        layers: The steered layers.
    """

    name: str
    depth: int | None
    hidden_size: int | None
    architecture: str | None = None
    weights_hash: str | None = None
    layers: Sequence[int] = ()


def file_key(emotion: str) -> str:
    """Return the name of the file with an emotion's vectors among the files of a job."""
    return f"vectors/{emotion}"


def read_vectors(path: Path) -> Vectors:
    """Read a file of vectors.

    Raises:
        UserError: It cannot be used, in one line.
    """
    readers = {SUFFIX: _read_gguf, SAFETENSORS: _read_safetensors}
    if path.suffix not in readers:
        raise UserError(
            f"{path}: a file {shown(path.suffix)}; allowed: {SUFFIX} (a control vector) or "
            f"{SAFETENSORS}"
        )
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    tensors, about = readers[path.suffix](path)
    # The format itself says what a GGUF file counts.
    numbering = about.get(NUMBERING, DECODER_LAYER if path.suffix == SUFFIX else None)
    if numbering not in (DECODER_LAYER, HIDDEN_STATE):
        raise UserError(
            f"{path}: {NUMBERING} is {shown(numbering)} in its metadata; allowed: {DECODER_LAYER} "
            f"(direction.0 is for the output of the first layer) or {HIDDEN_STATE} (direction.0 is "
            "for the embeddings); write there which one it is"
        )
    first = int(numbering == HIDDEN_STATE)
    numbered = {_number(name, path) - first: vector for name, vector in tensors.items()}
    by_layer = {layer: numbered[layer] for layer in sorted(numbered) if layer >= 0}
    if fault := _fault(by_layer):
        raise UserError(f"{path}: {fault}; write it again with one vector a layer")
    return Vectors(by_layer, about)


def _read_gguf(path: Path) -> "tuple[dict[str, np.ndarray], dict[str, str]]":
    header = read_header(path)
    kind = header.get("general.architecture")
    if kind != CONTROL_VECTOR:
        raise UserError(
            f"{path}: a GGUF file of {shown(kind)}; allowed: {CONTROL_VECTOR}, as "
            "llama-cvector-generator and repeng write it"
        )
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFReader

    try:
        tensors = GGUFReader(path).tensors
        kinds = {tensor.name: GGMLQuantizationType(tensor.tensor_type).name for tensor in tensors}
        _check_kinds(kinds, path)
        found = {tensor.name: np.array(tensor.data) for tensor in tensors}
    except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: a damaged GGUF file ({error}); fetch it again") from error
    start = f"{CONTROL_VECTOR}."
    about = {k.removeprefix(start): str(v) for k, v in header.items() if k.startswith(start)}
    return found, about


def _read_safetensors(path: Path) -> "tuple[dict[str, np.ndarray], dict[str, str]]":
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            _check_kinds({name: file.get_slice(name).get_dtype() for name in names}, path)
            return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path}: not a readable safetensors file ({error}); write or fetch it again"
        ) from error


def _check_kinds(kinds: Mapping[str, str], path: Path) -> None:
    """Raise an error if a vector is not in float32: others would be rounded unseen."""
    for name, kind in kinds.items():
        if kind != _PLAIN:
            raise UserError(f"{path}: {name} is {kind}; allowed: {_PLAIN}; save it as float32")


def _number(name: str, path: Path) -> int:
    found = _NAME.fullmatch(name)
    if not found:
        raise UserError(
            f"{path}: a tensor {shown(name)}; allowed: direction.<layer>, such as direction.12; "
            "rename or remove it"
        )
    return int(found[1])


def _fault(by_layer: "Mapping[int, np.ndarray]") -> str | None:
    import numpy as np

    if not by_layer:
        return "no vector for any layer"
    width = next(iter(by_layer.values())).size
    for layer, vector in by_layer.items():
        if vector.shape != (width,) or not width:
            return f"the vector of layer {layer} has the shape {vector.shape}"
        if not np.isfinite(vector).all():
            return f"the vector of layer {layer} holds NaN or infinite numbers"
    return None


def misfit(vectors: Vectors, target: Target) -> str | None:
    """Return why vectors do not fit a model, in a part of a line, or None."""
    reason = next(_misfits(vectors, target), None)
    return reason and f"{reason}; use vectors that were made for this model"


def _misfits(vectors: Vectors, target: Target) -> Iterator[str]:
    about, by_layer, name = vectors.about, vectors.by_layer, f"model {target.name}"
    width, last = next(iter(by_layer.values())).size, max(by_layer)
    if target.hidden_size not in (None, width):
        yield f"vectors of {width} numbers, where the states of {name} have {target.hidden_size}"
    if target.depth is not None:
        named = about.get(MODEL_LAYERS)
        if named not in (None, str(target.depth)):
            yield f"made in a model with {named} layers, where {name} has {target.depth}"
        if last >= target.depth:
            yield f"a vector for layer {last}, where {name} has layers 0 to {target.depth - 1}"
        # Tools write a vector for every layer, with or without the first one.
        is_whole = min(by_layer) <= 1 and len(by_layer) == last + 1 - min(by_layer)
        if named is None and is_whole and last < target.depth - 1:
            yield (
                f"vectors for all layers up to {last}, as in a model with {last + 1} layers, where "
                f"{name} has {target.depth}"
            )
    hint = about.get(HINT)
    if hint and target.architecture and not _same_architecture(hint, target.architecture):
        yield f"made in a model of the kind {shown(hint)}, where {name} is {target.architecture!r}"
    made_in = about.get(WEIGHTS)
    if made_in and target.weights_hash not in (None, made_in):
        yield (
            f"made with the weights {made_in[:10]}, where {name} has {target.weights_hash:.10} (if "
            f"it is the same model from another place, remove {WEIGHTS} from the metadata)"
        )
    missing = [layer for layer in target.layers if layer not in by_layer]
    if missing:
        found = ", ".join(map(str, by_layer))
        yield f"no vector for the steered layers {missing} of {name}, only for {found}"
    empty = [layer for layer in target.layers if layer in by_layer and not by_layer[layer].any()]
    if empty:
        yield f"the vectors of the steered layers {empty} are zero"


def _same_architecture(hint: str, architecture: str) -> bool:
    """Return True if a hint names an architecture, as transformers or as llama.cpp writes it."""

    def plain(name: str) -> str:
        return re.sub(r"[_-]|text$", "", name.lower())

    as_llama = plain(hint) == "llama" and architecture in _AS_LLAMA
    return plain(hint) == plain(architecture) or as_llama


def write_vectors(vectors: Vectors, path: Path) -> None:
    """Write a file of vectors; a GGUF file has none for layer 0, which llama.cpp refuses."""
    if path.suffix == SAFETENSORS:
        from safetensors.numpy import save_file

        tensors = {f"direction.{layer}": v for layer, v in vectors.by_layer.items()}
        save_file(tensors, path, metadata=dict(vectors.about))
        return
    from gguf import GGUFWriter

    tensors = {f"direction.{layer}": v for layer, v in vectors.by_layer.items() if layer}
    writer = GGUFWriter(path, CONTROL_VECTOR)
    writer.add_uint32(f"{CONTROL_VECTOR}.layer_count", len(tensors))
    for key, value in vectors.about.items():
        writer.add_string(f"{CONTROL_VECTOR}.{key}", value)
    for name, vector in tensors.items():
        writer.add_tensor(name, vector)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
