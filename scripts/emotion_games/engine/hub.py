"""Models of the hub: a branch becomes a commit, whose files are fetched into the local cache.

Without a network, what the cache holds is used. `cached_folder` never uses one.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    IncompleteSnapshotError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    RevisionResolutionError,
)
from huggingface_hub.file_download import repo_folder_name

from emotion_games.engine.backend import ModelError
from emotion_games.engine.downloads import reported
from emotion_games.engine.model_folder import (
    CONFIG,
    WEIGHTS,
    check_folder,
    check_small_files,
    shards,
)

# Everything that is read of a model besides its weights. Pickled weights are never fetched.
_SMALL = ["*.json", "*.jinja", "*.model", "*.tiktoken", "*.txt"]
_CODE = ["*.py"]
# Other forms of the model, such as the folder `original` of Llama.
_SUBFOLDERS = ["*/*"]

Log = Callable[[str], None]


def resolve(entry: dict[str, Any], log: Log) -> tuple[str, bool]:
    """Return the commit of a model's branch or tag, and whether it is that of the hub now.

    Without a network, it is the commit that the cache has.

    Args:
        entry: The model's entry of the config.
        log: Receives a line if the hub cannot be reached.

    Raises:
        ModelError: There is no such model or revision, or it can neither be reached nor is cached.
    """
    repository, revision, reached = entry["id"], entry.get("revision"), True
    with _in_one_line(entry):
        try:
            HfApi().repo_info(repository, revision=revision)
        except (httpx2.TransportError, OfflineModeIsEnabled, HfHubHTTPError) as error:
            if isinstance(error, HfHubHTTPError) and error.response.status_code < 500:
                raise
            reason = type(error).__name__
            log(f"{repository}: the hub cannot be reached ({reason}); using the cache")
            reached = False
        found = HfApi().resolve_revision(
            repository, revision=revision, local_files_only=not reached
        )
    return found.resolved, reached


def fetch_model(entry: dict[str, Any], reached: bool, log: Log) -> None:
    """Fetch all files of a model that its jobs will read.

    Args:
        entry: The model's entry of the config, whose revision is a commit.
        reached: Whether the hub can be reached; otherwise the cache must hold them.
        log: Receives lines of progress.

    Raises:
        ModelError: Files are missing, or cannot be fetched.
    """
    code = _CODE if entry.get("trust_remote_code") else []
    folder = _fetch(entry, [*_SMALL, *code], reached, log)
    check_small_files(folder, entry["id"])
    _check_code(folder, entry)
    # A pattern for which there is no file is no error.
    _fetch(entry, [WEIGHTS[0], *shards(folder)], reached, log)
    check_folder(folder, entry["id"])


def fetch_gguf(entry: dict[str, Any], reached: bool, log: Log) -> Path:
    """Fetch the GGUF file of a model, and return its place in the cache; see `fetch_model`.

    Raises:
        ModelError: There is no such file, or it cannot be fetched.
    """
    name = entry["gguf_file"]
    file = _fetch(entry, [name], reached, log) / name
    if not file.is_file():
        raise ModelError(
            f"model {entry['id']}: there is no file {name} at commit {entry['revision']}; "
            f"name one of those at {constants.ENDPOINT}/{entry['id']}"
        )
    return file


def cached_folder(repository: str, commit: str | None) -> Path:
    """Return the folder of a model in the cache; the network is not used.

    Raises:
        ModelError: It is not there.
    """
    try:
        # Other files than those that were fetched may be missing.
        found = snapshot_download(
            repository, revision=commit, allow_patterns=[CONFIG], local_files_only=True
        )
        return Path(found)
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise ModelError(
            f"model {repository}: there is no such folder here, and the cache of the hub "
            f"({constants.HF_HUB_CACHE}) does not hold it at commit {commit}; fetch it again: "
            f"`hf download {repository} --revision {commit}`"
        ) from error


def _fetch(entry: dict[str, Any], patterns: list[str], reached: bool, log: Log) -> Path:
    """Return the folder of a commit in the cache, after fetching the files that are missing."""
    repository, commit = entry["id"], entry["revision"]
    ignored = [] if any("/" in pattern for pattern in patterns) else _SUBFOLDERS
    wanted = {"revision": commit, "allow_patterns": patterns, "ignore_patterns": ignored}
    cache = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model")
    with _in_one_line(entry):
        if not reached:
            return Path(snapshot_download(repository, **wanted, local_files_only=True))
        files = snapshot_download(repository, **wanted, dry_run=True)
        size = sum(file.file_size for file in files if file.will_download)
        if size:
            log(f"{repository}: fetching {size / 1e6:,.0f} MB")
        with reported(cache, size, log):
            return Path(snapshot_download(repository, **wanted))


def _check_code(folder: Path, entry: dict[str, Any]) -> None:
    """Refuse code of another repository, whose commit would not be frozen."""
    if not entry.get("trust_remote_code"):
        return
    for name in (CONFIG, "tokenizer_config.json"):
        if not (folder / name).is_file():
            continue
        classes = json.loads((folder / name).read_text(encoding="utf-8")).get("auto_map", {})
        if "--" in json.dumps(classes):
            raise ModelError(
                f"model {entry['id']}: its code is in another repository ({name}: auto_map); save "
                "the model with its code in a folder, and name that"
            )


@contextmanager
def _in_one_line(entry: dict[str, Any]) -> Iterator[None]:
    """Turn what the hub answers into a line that says what to do."""
    begin, revision = f"model {entry['id']}: ", entry.get("revision", "main")
    begin += "there is no such folder here, and "
    try:
        yield
    except GatedRepoError as error:
        raise ModelError(
            f"model {entry['id']}: its authors must grant access: accept its terms at "
            f"{constants.ENDPOINT}/{entry['id']}, then log in with `hf auth login` or set HF_TOKEN"
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(
            f"model {entry['id']}: the hub has no revision {revision!r} of it; name a branch, "
            "a tag or a commit"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"{begin}the hub has no such model, or it is private: check the id, or log in with "
            "`hf auth login` or HF_TOKEN"
        ) from error
    except HFValidationError as error:
        raise ModelError(f"{begin}it is no hub id (organization/name)") from error
    except (HfHubHTTPError, RemoteEntryNotFoundError) as error:
        text = " ".join(str(error).split())[:200]
        raise ModelError(f"model {entry['id']}: the hub answers: {text}") from error
    except IncompleteSnapshotError as error:
        raise ModelError(
            f"model {entry['id']}: the hub cannot be reached, and the cache "
            f"({constants.HF_HUB_CACHE}) holds only a part of it; fetch it where there is a "
            f"network: `hf download {entry['id']} --revision {revision}`"
        ) from error
    except (RevisionResolutionError, LocalEntryNotFoundError, httpx2.HTTPError) as error:
        raise ModelError(
            f"{begin}the hub cannot be reached, nor does the cache ({constants.HF_HUB_CACHE}) hold "
            f"revision {revision!r}; fetch it where there is a network: `hf download {entry['id']}`"
        ) from error
