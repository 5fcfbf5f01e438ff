#!/usr/bin/python3
"""A header opens with a sentence that says what it is for, and its guard is its path."""

import re

from source import c_files, finish, read


def faults():
    for name in c_files(suffixes=(".h",)):
        text = read(name)
        guard = "PAWL_" + re.sub(r"[/.]", "_", name).upper()
        if not re.match(r"/\* [A-Z\"<`0-9].{10,}", text):
            yield f"{name}: opens without a sentence of purpose"
        if not re.search(rf"^#ifndef {guard}\n#define {guard}\n", text, re.M):
            yield f"{name}: the guard is not {guard}"


finish(list(faults()))
