"""Waiting for what happens soon."""

import time


def wait_for(condition, timeout=20):
    """The first truthy value of condition()."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)
