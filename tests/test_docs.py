"""Documentation: every public name has a numpydoc docstring that describes its parameters."""

import importlib
import inspect
import pkgutil
import tomllib
from pathlib import Path

import pytest
from numpydoc.validate import validate

import skdendbal

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def public_objects():
    for module in pkgutil.iter_modules(skdendbal.__path__, "skdendbal."):
        if module.name.rpartition(".")[2].startswith("_"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            is_ours = getattr(value, "__module__", None) == module.name
            if not is_ours or name.startswith("_") or not callable(value):
                continue
            yield f"{module.name}.{name}"
            if inspect.isclass(value):
                for attribute, member in vars(value).items():
                    if not attribute.startswith("_") and inspect.isfunction(member):
                        yield f"{module.name}.{name}.{attribute}"


@pytest.mark.parametrize("name", sorted(public_objects()))
def test_docstring(name):
    config = tomllib.loads(PYPROJECT.read_text())["tool"]["numpydoc_validation"]
    accepted = set(config["checks"]) - {"all"}
    errors = [error for error in validate(name)["errors"] if error[0] not in accepted]
    assert errors == []
