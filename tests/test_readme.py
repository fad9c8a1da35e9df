"""The README says what is true."""

import re
from pathlib import Path

from app.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def settings_table() -> str:
    """The table of settings, as the README must have it; `python -m tests.test_readme` prints it."""
    rows = ["| setting | default | what |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=False)
        if name == "threads":
            default = "the processors this process may use"
        elif default == ():
            default = "empty"
        else:
            default = f"`{','.join(default) if isinstance(default, tuple) else default}`"
        rows.append(f"| `LARDER_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)


def test_every_setting_has_its_line():
    """Names, defaults and descriptions of the settings are those of the code."""
    assert settings_table() in README


def test_every_file_it_names_is_there():
    """Paths in the README exist."""
    for name in re.findall(r"`((?:labels|models|samples|tests|app)/[\w./-]+)`", README):
        assert (ROOT / name).exists(), name


def test_every_target_it_names_is_there():
    """`make ...` commands exist."""
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:`|^)make ([a-z-]+)", README, re.MULTILINE)):
        assert f"\n{target}:" in makefile


if __name__ == "__main__":
    print(settings_table())
