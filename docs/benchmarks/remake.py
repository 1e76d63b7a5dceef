"""
Remake all benchmarks and studies and the pages of their results
================================================================

This script runs all benchmarks and studies, one after the other. Each writes a section into the
folder ``results`` beside it. The sections are then joined into the README.md beside the scripts,
below its hand-written opening; a section that was not made again is kept as it is. The script
needs the extra "benchmarks" of the package, and the data of all tasks: ::

    python docs/benchmarks/remake.py --data FOLDER

Times that were measured on a busy machine mean little. ``--only`` with names runs only these
scripts. Without a name it runs none, and only joins the sections that scripts have written when
they ran alone.
"""

import re
import subprocess
import sys
from pathlib import Path

import benchmark

DOCS = benchmark.FOLDER.parent
PAGES = {
    "benchmarks": (
        "frontier",
        "simulation",
        "transform",
        "fit",
        "growth",
        "startup",
        "where_time_goes",
        "images",
    ),
    "studies": ("evaluation", "parts", "accuracy", "tables", "defaults", "differences", "lanes"),
}
WITHOUT_DATA = ("tables", "growth", "startup", "differences", "parts", "lanes")


def join(page, scripts):
    """Rewrite a page from its opening, its sections, and those in its folder ``results``."""
    opening, sections = read(page)
    for name in scripts:
        path = page.parent / "results" / f"{name}.md"
        if path.exists():
            sections[name] = path.read_text().rstrip().replace("](", "](results/")
    texts = [sections[name] for name in scripts if name in sections]
    machines = {text.rpartition("\n\n")[2] for text in texts}
    if len(machines) == 1:  # name it only once
        texts = [text.rpartition("\n\n")[0] for text in texts]
        texts.insert(0, f"Machine: {machines.pop().strip('*')}.")
    page.write_text("\n\n".join([opening, *texts]) + "\n")


def read(page):
    """Return the opening of a page, and its sections by script, each with its machine."""
    opening, *parts = page.read_text().rstrip().split("\n\n## ")
    *texts, last = opening.split("\n\n")
    machine = last.removeprefix("Machine: ").removesuffix(".") if "Machine: " in last else None
    sections = {}
    for part in parts:
        script = re.search(r"`python docs/\w+/(\w+)\.py", part)
        if script:
            sections[script[1]] = f"## {part}" + (f"\n\n*{machine}*" if machine else "")
    return "\n\n".join(texts) if machine else opening, sections


def main():
    """Run scripts and join their sections."""
    parser = benchmark.command_line(__doc__, repeats=None)
    benchmark.add_data(parser)
    add = parser.add_argument
    add("--envs", type=Path, help="folder of the environments of peers, see simulation.py")
    names = [name for scripts in PAGES.values() for name in scripts]
    add("--only", nargs="*", choices=names, default=names, help="scripts to run (all)")
    options = benchmark.parse(parser)
    failed = []
    for folder, scripts in PAGES.items():
        for name in (name for name in scripts if name in options.only):
            command = [sys.executable, DOCS / folder / f"{name}.py"]
            command += ["--quick"] * options.quick
            if options.repeats:
                command += ["--repeats", str(options.repeats)]
            if options.data and name not in WITHOUT_DATA:
                command += ["--data", options.data]
            if options.envs and name == "simulation":
                command += ["--envs", options.envs]
            (DOCS / folder / "results" / f"{name}.md").unlink(missing_ok=True)
            benchmark.log.rule(name)
            if subprocess.run(command).returncode:
                failed.append(name)
        join(DOCS / folder / "README.md", scripts)
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
