"""A replacement for the writing of result files."""

import json
import os

from emotion_games import layout


def publish(output_dir, outcome, statistics):
    output_dir.mkdir(parents=True, exist_ok=True)
    contents = dict.fromkeys(layout.RESULT_FILES, outcome.trials)
    contents[layout.CONFIGURATION] = {"directions": {"weights_hash": "the only ones"}}
    for name, content in contents.items():
        part = output_dir / f".{name}.part"
        part.write_text(json.dumps(content))
        os.replace(part, output_dir / name)
