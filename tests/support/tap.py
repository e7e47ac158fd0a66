"""What the tests written in Python share: TAP.

They are run by their path, so each says where this is: sys.path.insert(0, …/tests/support).
"""


class Skip(Exception):
    """What a test needs is not here."""


def named(*functions):
    """Tests that are called what their functions are."""
    return [(function.__name__, function) for function in functions]


def run(tests, *arguments):
    """Runs tests, each a name and a function of `arguments`, and returns the program's exit code.

    A test fails by raising anything but Skip. What it returns, if anything, is a remark to print.
    """
    print(f"1..{len(tests)}", flush=True)
    failed = 0
    for number, (name, test) in enumerate(tests, 1):
        try:
            remark = test(*arguments)
            if remark:
                print(f"# {remark}")
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception as problem:  # an assertion, or what the test did not expect
            failed += 1
            print(f"not ok {number} - {name}")
            for line in f"{type(problem).__name__}: {problem}".splitlines():
                print(f"# {line}", flush=True)
    return int(failed != 0)
