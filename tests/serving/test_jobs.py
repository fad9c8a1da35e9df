"""Jobs run one after another, are polled by id, and end with the service."""

import threading

import pytest

from app.errors import InvalidRequest, NotFound, Overloaded
from app.serving.jobs import MAX_KEPT, MAX_WAITING, Jobs

PATIENCE = 240


@pytest.fixture
def jobs():
    jobs = Jobs()
    yield jobs
    jobs.close()


def test_a_job_reports_its_progress_and_its_results(jobs):
    """First what share is done, then what came out."""
    half, go = threading.Event(), threading.Event()

    def work(progress):
        progress(0.5)
        half.set()
        go.wait(PATIENCE)
        return [1, 2]

    job = jobs.start(work)
    assert half.wait(PATIENCE)
    assert (jobs.get(job.id).status, jobs.get(job.id).progress) == ("running", 0.5)
    go.set()
    assert job.ended.wait(PATIENCE)
    assert (jobs.get(job.id).status, jobs.get(job.id).results) == ("done", [1, 2])


def test_a_job_that_fails_says_why(jobs):
    """The next job still runs."""

    def fail(progress):
        raise InvalidRequest("no")

    failed, good = jobs.start(fail), jobs.start(lambda progress: ["good"])
    assert good.ended.wait(PATIENCE)
    assert (failed.status, failed.problem, good.results) == ("failed", "no", ["good"])


def test_too_many_jobs_are_refused_and_old_ones_forgotten(jobs):
    """Waiting jobs are bounded, and so are the results in memory."""
    go = threading.Event()
    waiting = [jobs.start(lambda progress: [go.wait(PATIENCE)]) for _ in range(MAX_WAITING)]
    with pytest.raises(Overloaded, match="jobs are waiting"):
        jobs.start(lambda progress: [])
    go.set()
    assert waiting[-1].ended.wait(PATIENCE)
    for _ in range(MAX_KEPT):
        assert jobs.start(lambda progress: []).ended.wait(PATIENCE)
    with pytest.raises(NotFound, match="there is no job"):
        jobs.get(waiting[0].id)


def test_closing_gives_up_what_runs():
    """A running job ends at its next progress report; no caller waits for ever."""
    jobs, begun = Jobs(), threading.Event()

    def work(progress):
        begun.set()
        while True:
            progress(0.1)

    job = jobs.start(work)
    assert begun.wait(PATIENCE)
    jobs.close()
    assert job.status == "failed"


def test_a_job_with_a_key_is_begun_once(jobs):
    """The same key returns the same job, unless it has failed."""

    def fail(progress):
        raise InvalidRequest("no")

    first, second = jobs.start(lambda progress: ["first"], "key"), jobs.start(lambda progress: ["second"], "key")
    assert first is second
    failed = jobs.start(fail, "another")
    assert failed.ended.wait(PATIENCE)
    assert jobs.start(lambda progress: [], "another") is not failed
    assert jobs.start(lambda progress: []) is not jobs.start(lambda progress: [])
