"""Scripts that run in Python processes of their own, for tests that concern a whole process."""

import os
import subprocess
import sys

import pytest


def run_script(script, *, timeout=120, **environment):
    """Run a script; return what it prints. The test fails if it prints anything on stderr."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    if done.returncode != 0 or done.stderr:
        pytest.fail(f"exit status {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout
