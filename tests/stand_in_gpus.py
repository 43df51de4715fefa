"""A made-up `nvidia-smi`, which lists four GPUs."""

from pathlib import Path

DEVICES = [f"GPU-{letter}0000000-0000-0000-0000-000000000000" for letter in "abcd"]
_LISTS_THEM = "#!/bin/sh\ncat <<EOF\n{}\nEOF\n".format(
    "\n".join(f"{index}, {uuid}" for index, uuid in enumerate(DEVICES))
)


def install(folder: Path, script: str = _LISTS_THEM) -> None:
    """Write the program into a folder, for a PATH."""
    folder.mkdir(exist_ok=True)
    program = folder / "nvidia-smi"
    program.write_text(script)
    program.chmod(0o755)
