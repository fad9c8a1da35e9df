"""Internal details are never part of an answer, for any failure."""

import pytest

SECRET = "/srv/larder/secret.py"


class Broken:
    """A component whose every call fails, with a path in the message."""

    def __getattr__(self, name: str):
        raise RuntimeError(f"{name} broke in {SECRET}")


def calls(client) -> list[tuple[str, str, dict | None]]:
    """Return every route: its method, a path, and its own example as a body."""
    document = client.get("/openapi.json").json()
    found = []
    del document["paths"]["/events"]  # its answer does not end
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            name = str(content.get("schema", {}).get("$ref", "")).rpartition("/")[2]
            examples = document["components"]["schemas"].get(name, {}).get("examples", [{}])
            found.append((method.upper(), path.replace("{", "").replace("}", ""), examples[0] if content else None))
    return found


@pytest.mark.parametrize("part", ["pipeline", "recogniser", "pantry", "metrics"])
def test_whatever_breaks_the_answer_says_nothing_of_it(client, part):
    """Every route, with each part of the service broken in turn: no path, no traceback, no exception's text."""
    service = client.app.state.service
    broken = (service.pantry, "store") if part == "pantry" else (service, part)
    statuses = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*broken, Broken())
        for method, path, body in calls(client):
            response = client.request(method, path, json=body)
            statuses.add(response.status_code)
            for word in (SECRET, "broke in", "Traceback", "RuntimeError", "site-packages", ".py"):
                assert word not in response.text, f"{method} {path}: {response.text}"
            assert response.headers["x-request-id"]
    assert statuses & {500, 503}
