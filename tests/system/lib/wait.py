"""Waiting for what happens soon."""

import time

PATIENCE_S = 60  # only a test that fails waits so long: a busy machine must not make it fail


def wait_for(condition, timeout=PATIENCE_S):
    """The first truthy value of condition()."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)
