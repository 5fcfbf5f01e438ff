#!/usr/bin/python3
"""Files up to 600 lines, functions up to 80; past 500 and 60 a question to answer."""

from source import ROOMS, blank, c_files, finish, read

FILE_MAX, FILE_NOTE = 600, 500
FUNCTION_MAX, FUNCTION_NOTE = 80, 60


def functions(text):
    """(name, line, length) of every function body; a body opens at the end of an unindented statement and closes at a lone brace."""
    start, opened = None, False
    for number, line in enumerate(blank(text).split("\n"), 1):
        if opened:
            if line == "}":
                yield statement.split("(")[0].split()[-1].lstrip("*"), start, number - start + 1
                start, opened = None, False
        elif line[:1].isalpha():
            start, statement = number, line
        elif start is not None:
            statement += line
        if start is not None and not opened:
            if line.rstrip().endswith("{") and "(" in statement and "=" not in statement:
                opened = True
            elif line.rstrip().endswith((";", "}")) or not line.strip():
                start = None


def main():
    faults, notes = [], []
    for name in c_files(ROOMS + ("tests",)):
        text = read(name)
        lines = text.count("\n")
        if lines > FILE_NOTE:
            (faults if lines > FILE_MAX else notes).append(f"{name}: {lines} lines")
        for function, line, length in functions(text):
            if length > FUNCTION_NOTE:
                (faults if length > FUNCTION_MAX else notes).append(f"{name}:{line}: {function}() has {length} lines")
    for note in notes:
        print("note:", note)
    finish(faults)


main()
