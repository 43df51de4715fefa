"""Write the directions of a model as GGUF control vectors and as safetensors.

Each emotion has `<emotion>.gguf`, which llama.cpp and repeng read, and `<emotion>.safetensors`.
"""

import argparse
import sys
from pathlib import Path

from emotion_games.errors import UserError
from emotion_games.escapes import say


def export_directions(source: Path, folder: Path) -> int:
    """Write the files, print their paths, and return the exit status."""
    from emotion_games.engine.vector_export import export  # loads torch

    try:
        for path in export(source, folder):
            say(str(path), sys.stdout)
    except UserError as error:
        say(f"ERROR: {error}")
        return 1
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="a file in <base_dir>/directions")
    parser.add_argument("folder", type=Path, help="where the files are written")
    arguments = parser.parse_args()
    sys.exit(export_directions(arguments.source, arguments.folder))
