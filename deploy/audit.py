"""Looks pinned requirements up among known vulnerabilities. Where no database of them answers, says so and succeeds."""

import json
import subprocess
import sys
from typing import Any

LIMIT_S = 120


def audited(path: str) -> list[dict[str, Any]] | None:
    """What pip-audit says of each package in a requirements file; None where it could ask nobody."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--timeout", "10"]
    try:
        done = subprocess.run(  # noqa: S603 - our own command
            [*command, "--format", "json", "--requirement", path],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError):
        return None
    known = [package for package in packages if "skip_reason" not in package]
    return known or None


def main() -> int:
    is_safe = True
    for path in sys.argv[1:]:
        packages = audited(path)
        if packages is None:
            _say(f"{path}: skipped, no database of vulnerabilities could be reached")
            continue
        vulnerable = [package for package in packages if package["vulns"]]
        _say(f"{path}: {len(packages)} packages looked up, {len(vulnerable)} with known vulnerabilities")
        for package in vulnerable:
            is_safe = False
            for found in package["vulns"]:
                _say(f"  {package['name']} {package['version']}: {found['id']}, fixed in {found['fix_versions']}")
    return 0 if is_safe else 1


def _say(line: str) -> None:
    print(f"audit: {line}")  # noqa: T201 - what the command was asked for


if __name__ == "__main__":
    sys.exit(main())
