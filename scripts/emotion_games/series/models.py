"""The models of a config: what each one is, what it is called, and what is wrong with its entry.

Two models are the same if their identities are equal. The identity is the entry in the config
without the keys that do not affect answers.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emotion_games.engine import smollm2
from emotion_games.engine.downloads import file_hash
from emotion_games.engine.gguf_files import SUFFIX, converted_name, quantization, read_header
from emotion_games.errors import ProblemList, UserError
from emotion_games.hashing import code_hash, content_hash, digest

DEMO = "demo"
DEMO_DEFAULTS = {"variant": "planted", "seed": 0}
# Keys of a model's entry that do not affect its answers.
MODEL_RUNNING_ONLY = ("alias", "device_map", "gpus")
# Keys of a model's entry that its name shows, besides the id and the revision.
_NAMED_KEYS = ("dtype", "quantization", "layers_path")
# Environment variable with the hashes of GGUF files, for jobs that read the Snakefile again.
_HASHES = "EMOTION_GAMES_HASHES"


@dataclass(frozen=True)
class Model:
    """A model of the config.

    `entry` is its identity, `running` what may change within a series, and `hashes` those of the
    files that it is made of, where these are known: of the demo model (`demo`), and of a GGUF file
    on this machine (`gguf`). `stored_as` is what the weights of a GGUF file are stored as.
    """

    entry: dict[str, Any]
    running: dict[str, Any]
    hashes: dict[str, str]
    stored_as: str | None = None

    @property
    def key(self) -> str:
        """Short digest of the identity."""
        return digest(self.entry)[:12]

    @property
    def path(self) -> str:
        """The id, or the place of a GGUF file."""
        return "/".join([self.entry["id"], *filter(None, [self.entry.get("gguf_file")])])

    @property
    def name(self) -> str:
        """The name in the results: the id, and what distinguishes models of the same id."""
        if self.is_demo:
            return self._demo_name()
        extras = [self.stored_as] if self.stored_as else []
        extras += [f"{key}={self.entry[key]}" for key in _NAMED_KEYS if key in self.entry]
        revision = f"@{self.entry['revision']}" if "revision" in self.entry else ""
        path = smollm2.NAME if self.is_smollm2 else self.path
        return f"{path}{revision}" + (f" ({', '.join(extras)})" if extras else "")

    def _demo_name(self) -> str:
        variant, seed = self.entry["variant"], self.entry["seed"]
        if seed != DEMO_DEFAULTS["seed"]:
            return f"{DEMO}-{variant}-{seed}"
        return DEMO if variant == DEMO_DEFAULTS["variant"] else f"{DEMO}-{variant}"

    @property
    def short_name(self) -> str:
        """The last part of the id, and for a GGUF file what its weights are stored as."""
        if self.is_demo:
            return self.name
        last = smollm2.NAME if self.is_smollm2 else os.path.basename(os.path.normpath(self.path))
        last = last.removesuffix(SUFFIX)
        is_named = not self.stored_as or self.stored_as.casefold() in last.casefold()
        return last if is_named else f"{last}-{self.stored_as}"

    @property
    def gpus(self) -> int:
        """How many GPUs a job of the model claims where it does not run on the CPU."""
        return self.running.get("gpus", 1)

    @property
    def made_folder(self) -> str | None:
        """The name of the folder that the workflow makes of the model, if it is known by now.

        It depends on what the model is made of. That of a GGUF file on the hub does so, too, and
        is known when the file is fetched.
        """
        if self.is_demo:
            return f"{self.name}-{self.hashes['demo'][:10]}"
        if "gguf" in self.hashes:
            label = self.short_name if self.is_smollm2 else Path(self.path).stem
            return converted_name(label, self.hashes["gguf"], self.entry.get("dtype"))
        return None

    @property
    def is_demo(self) -> bool:
        """True for the model that the workflow trains itself."""
        return self.entry["id"] == DEMO

    @property
    def is_smollm2(self) -> bool:
        """True for the model that a Python package holds."""
        return self.entry["id"] == smollm2.ID

    @property
    def is_fetched(self) -> bool:
        """True for a model that must be fetched or converted before a job can load it."""
        return not self.is_demo and (self.is_smollm2 or not os.path.isdir(self.path))

    @property
    def is_fixed(self) -> bool:
        """False for a branch or tag of the hub, which may move."""
        commit = re.fullmatch("[0-9a-f]{40}", self.entry.get("revision", ""))
        return not self.is_fetched or "gguf" in self.hashes or commit is not None


def plan_models(entries: Iterable[str | dict[str, Any]], root: Path) -> tuple[Model, ...]:
    """Return the models of a checked config.

    Args:
        entries: The list `experiment.models`: ids, or mappings with an `id`.
        root: The folder of the workflow.

    Raises:
        ProblemList: Entries exclude each other, or name files that cannot be used.
    """
    models: list[Model] = []
    problems = []
    for place, entry in enumerate(entries):
        entry = {"id": entry} if isinstance(entry, str) else entry
        where = f"experiment.models[{place}]"
        problems += [f"{where}.{line}" for line in _entry_problems(entry)]
        try:
            model = _model(entry, root)
        except UserError as error:
            problems.append(f"{where}.id: {error}")
            continue
        if any(resolved(other.entry) == resolved(model.entry) for other in models):
            problems.append(f"{where}: {model.name} is listed twice; list each model once")
        models.append(model)
    # Compared without case: some file systems do not distinguish `M` and `m`.
    aliases = [model.running["alias"].casefold() for model in models if "alias" in model.running]
    for alias in sorted(set(aliases)):
        if aliases.count(alias) > 1:
            problems.append(
                f"experiment.models: two models have the alias {alias!r}; choose another one"
            )
    if problems:
        raise ProblemList(problems)
    return tuple(models)


def _entry_problems(entry: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each key that this kind of model does not have."""
    name, path = entry["id"], os.path.expanduser(entry["id"])
    if name != DEMO:
        for key in DEMO_DEFAULTS:
            if key in entry:
                yield f"{key}: only the demo model has one; remove it or set id: demo"
    if name in (DEMO, smollm2.ID):
        for key in ("gguf_file", "revision"):
            if key in entry:
                yield f"{key}: {name} has none; remove it"
    elif os.path.exists(path) and "revision" in entry:
        kind = "folder" if os.path.isdir(path) else "file"
        yield f"revision: {path} is a {kind}, which has no revisions; remove it, or name a hub id"


def resolved(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the identity of a model, in which two names of one folder or file are equal."""
    path = entry["id"]
    return entry | ({"id": os.path.realpath(path)} if os.path.exists(path) else {})


def _model(entry: dict[str, Any], root: Path) -> Model:
    """Return the model of an entry, in which spellings of the same model become equal.

    Raises:
        UserError: It is a file that is not a GGUF file.
    """
    identity = {key: value for key, value in entry.items() if key not in MODEL_RUNNING_ONLY}
    if identity["id"].startswith("~"):
        # Unlike Path.expanduser, this leaves the name of an unknown user as it is.
        identity["id"] = os.path.expanduser(identity["id"])
    if len(identity["id"]) > 1:
        identity["id"] = identity["id"].rstrip("/") or "/"
    if "gguf_file" in identity and os.path.isdir(identity["id"]):
        identity["id"] = os.path.join(identity["id"], identity.pop("gguf_file"))
    # `./x` is the folder `x`.
    path, short = identity["id"], os.path.normpath(identity["id"])
    if os.path.exists(path) and os.path.realpath(short) == os.path.realpath(path):
        identity["id"] = short
    # The default, written out, is the same model.
    if not identity.get("trust_remote_code", False):
        identity.pop("trust_remote_code", None)
    running = {key: entry[key] for key in MODEL_RUNNING_ONLY if key in entry}
    if identity["id"] == DEMO:
        return Model(DEMO_DEFAULTS | identity, running, {"demo": demo_hash(root)})
    if identity["id"] == smollm2.ID:
        return Model(identity, running, {"gguf": smollm2.GGUF_SHA256}, smollm2.STORED_AS)
    file = identity["id"]
    if file.endswith(SUFFIX) or (os.path.exists(file) and not os.path.isdir(file)):
        return Model(identity, running, {"gguf": _hash(file)}, _stored_as(file))
    return Model(identity, running, {})


def _stored_as(file: str) -> str | None:
    return quantization(read_header(Path(file)))


def _hash(file: str) -> str:
    """Return the SHA-256 of a GGUF file, which the jobs of a run do not compute again.

    Raises:
        UserError: It is not there, or not a file.
    """
    if not file.endswith(SUFFIX):
        raise UserError(
            f"{file} is not a folder; name the folder of a model, a {SUFFIX} file, or a hub id"
        )
    if not os.path.isfile(file):
        raise UserError(f"{file}: no such file")
    state = os.stat(file)
    name = f"{os.path.realpath(file)} {state.st_size} {state.st_mtime_ns}"
    known = json.loads(os.environ.get(_HASHES, "{}"))
    if name not in known:
        known[name] = file_hash(Path(file))
        os.environ[_HASHES] = json.dumps(known)
    return known[name]


def model_file(model: Model, models: Path, name: str) -> Path | None:
    """Return a file of a model in its folder or in the cache of the hub, if it is there.

    Args:
        model: The model.
        models: The folder of the models that the workflow makes.
        name: The name of the file.
    """
    if model.is_demo:
        return None
    if model.made_folder or not model.is_fetched:
        path = (models / model.made_folder if model.made_folder else Path(model.path)) / name
        return path if os.path.isfile(path) else None
    from huggingface_hub import try_to_load_from_cache

    try:
        cached = try_to_load_from_cache(model.path, name, revision=model.entry.get("revision"))
    # Not the form of a hub id, or a GGUF file on the hub.
    except ValueError:
        return None
    return Path(cached) if isinstance(cached, str) else None


def demo_hash(root: Path) -> str:
    """Return the digest of the demo model's data, of the games that it learns, and its trainer."""
    folder = root / "config" / "demo"
    data = sorted([*folder.rglob("[!.]*.yaml"), *folder.rglob("[!.]*.txt")])
    texts = digest([[path.relative_to(folder).as_posix(), content_hash(path)] for path in data])
    # The demo model learns the games that have scenarios in its own words.
    games = sorted(path.parent.name for path in folder.glob("games/*/scenarios.yaml"))
    rules = [content_hash(root / "config" / "games" / name / "game.yaml") for name in games]
    return digest([code_hash(["demo/trainer"]), texts, *rules])
