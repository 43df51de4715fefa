"""The packages of the library, bottom up: the order of imports, and the drawings in docs/house.md.

`python tests/rooms.py` writes the drawings.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "scripts" / "emotion_games"
PAGE = ROOT / "docs" / "house.md"
# A package imports itself, the ones above it in this list, and the modules outside any package.
ROOMS = {
    "games": "a game as data: payoffs, histories, scenarios, equilibria",
    "prompts": "texts in, answers out; no tensors",
    "engine": "load, steer, read, generate, score; no games and no arms",
    "experiment": "conditions and trials, journal, results table",
    "analysis": "tables to statistics; no models",
    "reporting": "statistics to figures and pages",
    "series": "config, grid, folder, jobs, completeness report",
    "demo": "the model with planted effects, and the instrument check",
}
_BEGIN, _END = "<!-- rooms: made by tests/rooms.py -->\n", "<!-- end of rooms -->"


def imports(library: Path) -> dict[str, set[str]]:
    """Return the modules that each module imports, by dotted names inside the library."""
    names = {_name(path, library) for path in library.rglob("*.py")}
    found = {}
    for path in library.rglob("*.py"):
        targets = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                targets |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                targets |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        inside = {name.removeprefix("emotion_games.") for name in targets}
        found[_name(path, library)] = inside & names
    return found


def _name(path: Path, library: Path) -> str:
    return ".".join(path.relative_to(library).with_suffix("").parts)


def upward(library: Path) -> list[str]:
    """Return the imports that go from a package to one further down in the list, or outside it."""
    order = {room: place for place, room in enumerate(ROOMS, start=1)}
    found = []
    for module, targets in imports(library).items():
        # Modules outside any package are the ground on which all packages stand.
        floor = order.get(module.split(".")[0], 0)
        for target in sorted(targets):
            if order.get(target.split(".")[0], 0) > floor:
                found.append(f"{module} imports {target}")
    return found


def circles(library: Path) -> list[str]:
    """Return the modules that can reach themselves through their imports."""
    graph = imports(library)

    def reachable(module: str) -> set[str]:
        seen, waiting = set(), [module]
        while waiting:
            new = graph[waiting.pop()] - seen
            seen |= new
            waiting += new
        return seen

    return sorted(module for module in graph if module in reachable(module))


def drawings() -> str:
    """Return the diagram of the packages and the annotated file tree, as they stand on the page."""
    return f"```mermaid\n{_diagram()}\n```\n\n```\n{_tree()}\n```\n"


def _diagram() -> str:
    above = list(reversed(ROOMS))
    nodes = [f'  {room}["<b>{room}</b><br/>{ROOMS[room]}"]' for room in above]
    return "\n".join(["flowchart TB", *nodes, f"  {' --> '.join(above)}"])


def _tree() -> str:
    lines = ["scripts/emotion_games/"]
    lines += _wrapped(_modules(LIBRARY))
    for room, text in ROOMS.items():
        lines.append(f"  {room + '/':<12}{text}")
        lines += _wrapped(_modules(LIBRARY / room))
    return "\n".join(lines)


def _modules(folder: Path) -> list[str]:
    modules = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    folders = [f"{path.name}/" for path in folder.iterdir() if (path / "__init__.py").exists()]
    return sorted(modules) + sorted(folders)


def _wrapped(names: list[str], width: int = 96) -> list[str]:
    lines, line = [], " " * 14
    for name in names:
        if len(line) + len(name) + 3 > width:
            lines.append(line.rstrip(" ·"))
            line = " " * 14
        line += f"{name} · "
    return [*lines, line.rstrip(" ·")]


def drawn() -> str:
    """Return the drawings that stand on the page now."""
    return PAGE.read_text(encoding="utf-8").split(_BEGIN)[1].split(_END)[0]


if __name__ == "__main__":
    before, rest = PAGE.read_text(encoding="utf-8").split(_BEGIN)
    PAGE.write_text(before + _BEGIN + drawings() + _END + rest.split(_END)[1], encoding="utf-8")
