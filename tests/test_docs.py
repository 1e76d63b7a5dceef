"""Documentation: every public name has a numpydoc docstring that describes its parameters."""

import ast
import importlib
import inspect
import pkgutil
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

import skdendbal

ROOT = Path(__file__).parents[1]
PYPROJECT = ROOT / "pyproject.toml"


def public_modules():
    for module in pkgutil.iter_modules(skdendbal.__path__, "skdendbal."):
        if not module.name.rpartition(".")[2].startswith("_"):
            yield importlib.import_module(module.name)


def public_objects():
    for module in public_modules():
        for name in module.__all__:
            value = getattr(module, name)
            if not callable(value):
                continue
            yield f"{module.__name__}.{name}"
            if inspect.isclass(value):
                for attribute, member in vars(value).items():
                    if not attribute.startswith("_") and inspect.isfunction(member):
                        yield f"{module.__name__}.{name}.{attribute}"


@pytest.mark.parametrize("module", list(public_modules()), ids=lambda module: module.__name__)
def test_what_is_not_public_begins_with_an_underscore(module):
    names = set()
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {name.id for target in node.targets for name in ast.walk(target)
                      if isinstance(name, ast.Name)}  # fmt: skip
    assert {name for name in names if not name.startswith("_")} <= set(module.__all__)


@pytest.mark.parametrize("name", sorted(public_objects()))
def test_documented_defaults_are_those_of_the_signature(name):
    value = pkgutil.resolve_name(name)
    parameters = inspect.signature(value).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    documented = {}
    for parameter in get_doc_object(value)["Parameters"]:
        text = re.search(r"default=(.*)$", parameter.type)
        if text:
            documented |= dict.fromkeys(parameter.name.split(", "), text[1])
    defaults.pop("y", None)  # by convention, "Ignored"
    assert documented.keys() == defaults.keys()
    for parameter, text in documented.items():
        default = defaults[parameter]
        if "factory" in repr(default):
            assert text in ("[]", "{}")
        elif callable(default):
            assert text == f"{default.__module__}.{default.__name__}"
        elif repr(default) != text:
            assert ast.literal_eval(text) == default


@pytest.mark.parametrize("name", sorted(public_objects()))
def test_docstring(name):
    config = tomllib.loads(PYPROJECT.read_text())["tool"]["numpydoc_validation"]
    accepted = set(config["checks"]) - {"all"}
    errors = [error for error in validate(name)["errors"] if error[0] not in accepted]
    assert errors == []


def test_api_reference_lists_every_module():
    listed = re.findall(r"^   (skdendbal[.\w]*)$", (ROOT / "docs/api/index.rst").read_text(), re.M)
    modules = {module.__name__ for module in public_modules()}
    modules.remove("skdendbal.coder")  # its one name is that of the package
    assert set(listed) == modules | {"skdendbal.DendriticBalanceCoder"}


def test_links_of_the_readme_and_of_estimators_lead_to_pages_of_the_site():
    urls = tomllib.loads(PYPROJECT.read_text())["project"]["urls"]
    estimators = [
        skdendbal.DendriticBalanceCoder(),
        skdendbal.preprocessing.OnOffSplitter(),
        skdendbal.image.PatchCoder(),
    ]
    links = [estimator._get_doc_link() for estimator in estimators]
    links += re.findall(r"\]\((.*?)\)", (ROOT / "README.md").read_text())
    repository = urls["Repository"] + "/blob/main/"
    raw = repository.replace("github.com", "raw.githubusercontent.com").replace("/blob", "")
    for link in links:
        if link.startswith(urls["Documentation"]):
            page = link.removeprefix(urls["Documentation"] + "/").removesuffix(".html")
            if page.startswith("api/generated/"):
                pkgutil.resolve_name(page.removeprefix("api/generated/"))
            elif page != "auto_examples/index":
                assert list(ROOT.glob(f"docs/{page}.[mr][ds]*")), link
        elif link.startswith((repository, raw)):
            assert (ROOT / link.removeprefix(repository).removeprefix(raw)).exists(), link
        else:
            assert link.startswith("https://doi.org/")


@pytest.mark.parametrize(
    ("pages", "message"),
    [
        ({"a": '<a href="b.html#there">', "b": '<p id="there">'}, "All internal links lead"),
        ({"a": '<a href="c.html">'}, "a.html: no file c.html"),
        ({"a": '<a href="b.html#here">', "b": '<p id="there">'}, "a.html: no place b.html#here"),
        ({}, "holds no pages: build the site first"),
    ],
)
def test_dead_links_of_the_site_are_found(pages, message, tmp_path):
    for name, text in pages.items():
        (tmp_path / f"{name}.html").write_text(text)
    command = [sys.executable, ROOT / "docs" / "check_links.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert message in done.stdout + done.stderr
    assert (done.returncode == 0) == message.startswith("All")


def test_every_example_has_a_place_in_the_gallery_and_a_picture():
    gallery = runpy.run_path(ROOT / "docs" / "gallery.py")
    examples = {path.stem: path.read_text() for path in (ROOT / "examples").rglob("plot_*.py")}
    assert set(gallery["ORDER"]) == set(examples)
    for name in gallery["NOT_RUN"]:
        thumbnail = re.search(r'sphinx_gallery_thumbnail_path = "(.*)"', examples[name])[1]
        shown = re.search(r"\.\. figure:: /(.*)", examples[name])[1]
        assert thumbnail == shown
        assert (ROOT / "docs" / shown).exists()


def test_the_readme_runs_an_example_that_is_there():
    readme = (ROOT / "README.md").read_text()
    command = re.search(r"<!-- main job -->\n```sh\n(.*)\n```", readme)[1]
    assert (ROOT / command.split()[-1]).exists()
