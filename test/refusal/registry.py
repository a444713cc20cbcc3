"""The cases, by name. A case is a function that takes a Scene and raises Failed, or Skipped."""

CASES = {}


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


class Case:
    def __init__(self, body, outside):
        self.body = body
        # In the namespaces of who runs the test: for what no private pid namespace has.
        self.outside = outside


def case(body=None, *, outside=False):
    """A case named as its function."""
    if body is None:
        return lambda body: case(body, outside=outside)
    _add(body.__name__, Case(body, outside))
    return body


def case_each(values):
    """One case for each of `values`, handed over as the last argument and part of the name."""

    def register(body):
        for value in values:
            _add(f"{body.__name__}.{value}", Case(lambda scene, v=value: body(scene, v), False))
        return body

    return register


def _add(name, new):
    if name in CASES:
        raise ValueError(f"two cases are called {name}")
    CASES[name] = new
