"""What import-linter cannot see, since the package is not installed with Netwright."""

import ast
from pathlib import Path

import pytest

_PACKAGE = Path(__file__).parents[4] / "integrations/neutron/src/netwright_neutron"
_PURE = ("kinds", "mapping", "planning", "states")
_OF_THE_LANGUAGE = {"collections", "enum", "ipaddress", "typing"}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            found.add(str(node.module))
    return found


@pytest.mark.parametrize("path", sorted(_PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_it_meets_netwright_at_its_apis_alone(path: Path) -> None:
    assert not {name for name in imports(path) if name.split(".")[0] == "netwright"}


@pytest.mark.parametrize("name", _PURE)
def test_what_decides_is_pure(name: str) -> None:
    ours = {f"netwright_neutron.{each}" for each in _PURE}
    found = imports(_PACKAGE / f"{name}.py")
    assert {each for each in found - ours if each.split(".")[0] not in _OF_THE_LANGUAGE} == set()
