"""The codebook of a series: what each column and key of its files means."""

from pathlib import Path

from emotion_games.data_files import read_data
from emotion_games.files import replace_text
from emotion_games.layout import CODEBOOK

_HEAD = """# Codebook

Every column and key of the files of this series. `<choice>` and the like stand for names of the
series. In CSV files an empty cell is a missing value. The settings in `exp_config.yaml` and
`plan.yaml` have the names that `config/README.md` of the project explains.
"""


def codebook() -> dict[str, dict[str, dict[str, str]]]:
    """Return what the columns and keys of each file mean: `about` and `keys` by file."""
    return read_data(Path(__file__).parent / "codebook.yaml")


def write_codebook(series_dir: Path) -> None:
    """Write CODEBOOK.md into a series folder."""
    parts = [_HEAD]
    for file, content in codebook().items():
        rows = [f"| `{key}` | {meaning} |" for key, meaning in content["keys"].items()]
        table = "\n".join(["| name | meaning |", "|---|---|", *rows])
        parts.append(f"## {file}\n\n{content['about']}\n\n{table}\n")
    replace_text(series_dir / CODEBOOK, "\n".join(parts))
