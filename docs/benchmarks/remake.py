"""
Remake all benchmarks and the page of their results
===================================================

Runs the scripts one after the other, each of which writes a section, and joins all sections in the
folder into README.md beside this file, which keeps those that the folder lacks. Needs the extra
"benchmarks" of the package, and all of the data for all tasks: ::

    python docs/benchmarks/remake.py --data FOLDER

On a busy machine the times are not worth much. ``--only`` with no name joins the sections that
scripts have written when they ran alone.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import benchmark

SCRIPTS = (
    "evaluation",
    "accuracy",
    "tables",
    "defaults",
    "simulation",
    "transform",
    "fit",
    "growth",
    "startup",
    "where_time_goes",
)
WITHOUT_DATA = ("tables", "growth", "startup")
HEAD = """# Benchmarks

Written by `python docs/benchmarks/remake.py --data FOLDER` in an environment with
`pip install -e ".[benchmarks]"`, FOLDER with `mnist_t10k.npz` and `olshausen_scenes.npz`; without
them the tasks that need them are left out. Every script also runs alone, and has more options:
`--help`. Times are medians, with the least and the largest in brackets, of callables that are
timed in turn, on one thread; quality stands beside them. Raw numbers are in [results](results).
`learned_rules.py` compares the rules that learn dendritic balance with their literal form.
"""


def join(folder, page):
    """Write the page from the sections in a folder; it keeps others that it has."""
    where = Path(os.path.relpath(folder, page.parent)).as_posix()
    sections = read_sections(page) if page.exists() else {}
    for name in SCRIPTS:
        path = folder / f"{name}.md"
        if path.exists():
            sections[name] = path.read_text().rstrip().replace("](", f"]({where}/")
    texts = [sections[name] for name in SCRIPTS if name in sections]
    machines = {text.rpartition("\n\n")[2] for text in texts}
    if len(machines) == 1:  # named once
        texts = [text.rpartition("\n\n")[0] for text in texts]
        texts.insert(0, f"Machine: {machines.pop().strip('*')}.")
    page.write_text("\n\n".join([HEAD.rstrip(), *texts]) + "\n")


def read_sections(page):
    """Return the sections of a page by script, each with its machine."""
    head, *parts = page.read_text().rstrip().split("\n\n## ")
    *_, last = head.split("\n\n")
    machine = last.removeprefix("Machine: ").removesuffix(".") if "Machine: " in last else None
    sections = {}
    for part in parts:
        script = re.search(r"`python docs/benchmarks/(\w+)\.py", part)
        if script:
            sections[script[1]] = f"## {part}" + (f"\n\n*{machine}*" if machine else "")
    return sections


def main():
    """Run scripts and join their sections."""
    parser = benchmark.command_line(__doc__)
    benchmark.add_data(parser)
    add = parser.add_argument
    add("--envs", type=Path, help="folder of the environments of peers, see simulation.py")
    add("--only", nargs="*", choices=SCRIPTS, default=SCRIPTS, help="scripts to run (all)")
    add(
        "--page",
        type=Path,
        default=benchmark.FOLDER / "README.md",
        help="where to write the page (docs/benchmarks/README.md)",
    )
    options = benchmark.parse(parser)
    failed = []
    for name in options.only:
        command = [sys.executable, benchmark.FOLDER / f"{name}.py", "--output", options.output]
        command += ["--repeats", str(options.repeats)] + ["--quick"] * options.quick
        if options.data and name not in WITHOUT_DATA:
            command += ["--data", options.data]
        if options.envs and name == "simulation":
            command += ["--envs", options.envs]
        (options.output / f"{name}.md").unlink(missing_ok=True)
        benchmark.log.rule(name)
        if subprocess.run(command).returncode:
            failed.append(name)
    join(options.output, options.page)
    benchmark.console.print(f"Page: {options.page}", highlight=False)
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
