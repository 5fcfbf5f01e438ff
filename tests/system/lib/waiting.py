"""Waiting for something to become so, without a sleep that is too long or too short."""

import time


def until(condition, timeout=20):
    """The first truthy value of condition(); asked again every 20 ms."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not so within {timeout} s: {condition}"
        time.sleep(0.02)
