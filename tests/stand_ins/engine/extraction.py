"""A replacement for the measurement of directions, which needs no model."""

import json
import os
from pathlib import Path

from emotion_games.errors import UserError


def extract(entry, path, settings, files, output, runtime, check, log=print, progress=None):
    if json.loads(Path("controls.json").read_text()).get("directions") == entry["id"]:
        raise UserError(f"model {entry['id']}: cannot be loaded: its weights are damaged")
    part = output.with_suffix(".part")
    part.write_text(json.dumps(entry))
    os.replace(part, output)
