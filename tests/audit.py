"""Known vulnerabilities among the serving requirements: python -m tests.audit [--must].

pip-audit silently skips packages that it cannot look up, and succeeds. This lists the packages that were not audited,
and with `--must` that is a failure.
"""

import json
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parents[1] / "requirements.txt"


def look_up() -> tuple[list[str], list[str], int]:
    """Return the vulnerabilities found, the packages that could not be looked up, and the number of packages."""
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "-f", "json", "-r", str(REQUIREMENTS)]
    run = subprocess.run(command, capture_output=True, text=True)
    if not run.stdout:
        return [], [f"all: {run.stderr.strip().splitlines()[-1]}"], 0
    packages = json.loads(run.stdout)["dependencies"]
    found = [
        f"{package['name']} {package['version']}: {each['id']}, mended in {each['fix_versions'] or 'none yet'}"
        for package in packages
        for each in package.get("vulns", [])
    ]
    return found, [package["name"] for package in packages if "skip_reason" in package], len(packages)


def main() -> int:
    """Print the findings; return 1 for a vulnerability, and with `--must` for a package that was not audited."""
    found, skipped, count = look_up()
    for line in found:
        print(f"VULNERABLE  {line}")
    if skipped:
        print(f"NOT AUDITED  {len(skipped)} of {count} serving requirements could not be looked up: {skipped[0]}, ...")
    else:
        print(f"{count} serving requirements audited, {len(found)} vulnerabilities known")
    return 1 if found or (skipped and "--must" in sys.argv) else 0


if __name__ == "__main__":
    sys.exit(main())
