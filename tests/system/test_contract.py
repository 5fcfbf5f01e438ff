"""Last of all: the session's judgement over the contract."""

import os

import pytest


def test_every_operation_was_exercised(contract, request):
    """Every operation of api/openapi.yaml was asked at least once, and answered well at least once."""
    option = request.config.option
    alone = not os.environ.get("PAWL_TEST_RECORD") and len({item.fspath for item in request.session.items}) < 10
    if alone or option.keyword or option.markexpr:
        pytest.skip("only a part of the tests was asked for")
    assert contract.operations() - contract.exercised == set()
    assert contract.operations(answering_2xx=True) - contract.answered_2xx == set()
