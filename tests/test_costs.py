"""Costs follow the price lists, computed by hand for round numbers."""

import json

import pytest

from benchmarks.costs import PRICES, Load, on_ecs, on_lambda, on_rekognition, read_prices

ROUND = {
    "rekognition_image": 0.001,
    "lambda_gb_second_arm64": 0.00001,
    "lambda_request": 0.0000002,
    "http_api_request": 0.000001,
    "fargate_vcpu_hour_arm64": 0.03,
    "fargate_gb_hour_arm64": 0.004,
    "balancer_hour": 0.02,
    "balancer_unit_hour": 0.008,
}


def test_rekognition_costs_by_the_call():
    """A thousand calls at a tenth of a cent."""
    assert on_rekognition(ROUND) == pytest.approx(1)


def test_lambda_costs_by_memory_and_time():
    """The cost is 0.1 s of 2 GB, a request, and the gateway's request for each 512 KB begun."""
    assert on_lambda(ROUND, Load(99.2, 512), 2048) == pytest.approx(1000 * (0.1 * 2 * 0.00001 + 0.0000002 + 0.000001))
    assert on_lambda(ROUND, Load(100, 513), 2048) - on_lambda(ROUND, Load(100, 512), 2048) == pytest.approx(0.001)


def test_ecs_costs_by_the_hour():
    """Two processors, 4 GB and the balancer for an hour, shared by the pictures of half of it, and their bytes."""
    an_hour = 2 * 0.03 + 4 * 0.004 + 0.02
    assert on_ecs(ROUND, Load(100, 1024), 4096, 0.5) == pytest.approx(1000 * (an_hour / 18_000 + 0.008 / 1024))


def test_every_price_says_where_it_is_from():
    """A figure without a page and the text that it was read in is no listed price."""
    for each in json.loads(PRICES.read_text())["prices"].values():
        assert each["price"] > 0
        assert each["page"].startswith("https://aws.amazon.com/")
        assert each["read_in"]
        assert each["date"]
    assert read_prices().keys() >= ROUND.keys()
