"""Whichever calls fail, the same command goes on from there and ends as if nothing had happened.

Here each call that changes something fails the first time that it is made, before it reaches AWS: a command that is
killed between two calls leaves the same behind. So a command is given once for each of its calls, and once more.
"""

import pytest

UP = ("up", "--image", "larder", "--api-keys", "none")
CHANGED = ("up", "--image", "larder", "--max-tasks", "8", "--requests", "600", "--cpu", "70", "--cidr", "10.0.0.0/8")


@pytest.fixture
def command(aws, capsys):
    """Gives a command again until it ends well; returns how often it failed, each time with one line."""

    def command(*arguments: str, **options: str) -> int:
        for failures in range(100):
            status = aws.deploy(*arguments, **options)
            if status == 0:
                return failures
            assert status == 2
            lines = capsys.readouterr().err.splitlines()
            assert len([line for line in lines if not line.startswith("{")]) == 1, lines  # logs are JSON
        raise AssertionError("it does not come to an end")

    return command


def test_up_goes_on(aws, command):
    """From nothing, with a failure at every call."""
    aws.reset()
    assert aws.deploy(*UP) == 0
    expected, calls = aws.inventory(), len(aws.changes())
    aws.reset()
    aws.fail()
    assert command(*UP) == calls
    assert aws.inventory() == expected


def test_a_change_goes_on(aws, command, tmp_path):
    """Another image, keys, and other options, with a failure at every call."""
    keys = tmp_path / "keys"
    keys.write_text("first,second\n")
    change = (*CHANGED, "--api-keys", str(keys))
    aws.reset()
    assert aws.deploy(*UP) == 0
    aws.calls.clear()
    assert aws.deploy(*change, image="3c4d") == 0
    expected, calls = aws.inventory(), len(aws.changes())
    aws.reset()
    assert aws.deploy(*UP) == 0
    aws.fail()
    assert command(*change, image="3c4d") >= calls  # `UpdateService` is another call when it is made again
    assert aws.inventory() == expected


def test_down_goes_on(aws, command):
    """To nothing, with a failure at every call."""
    calls = 0
    for failing in (False, True):
        aws.reset()
        assert aws.deploy(*UP) == 0
        assert aws.deploy(*CHANGED, image="3c4d") == 0
        aws.calls.clear()
        aws.fail(failing)
        assert command("down") == calls
        assert aws.inventory() == {}
        calls = len(aws.changes())
