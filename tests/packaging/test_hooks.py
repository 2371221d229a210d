"""The hooks before a commit check what `make check` checks."""

import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_hooks_and_make_check_are_the_same() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    installed = ["--assume-old=setup", "--assume-old=.venv-docs/.installed"]
    dry_run = ["make", "--dry-run", *installed, "--no-print-directory", "check"]
    made = subprocess.run(dry_run, cwd=ROOT, capture_output=True, text=True, check=True)
    assert hooks == made.stdout.splitlines()
