"""What the rows of the table, and the points of the slopes, are of."""

from dataclasses import dataclass

GIB = 1 << 30


@dataclass(frozen=True)
class Shape:
    title: str
    arguments: tuple  # of bench_target
    kill: bool = False  # by the dump: each has a fresh target


def _shape(title, *arguments, kill=False):
    return Shape(title, tuple(str(argument) for argument in arguments), kill)


SHAPES = {
    "tiny": _shape("one small task", "tiny"),
    "pages": _shape("1 GiB of 4K pages, left running", "pages", GIB),
    "writer": _shape("4 GiB with a thread that keeps writing, left running", "writer", 4 * GIB),
    "killed": _shape("1 GiB of 4K pages, killed after", "pages", GIB, kill=True),
    "tasks": _shape("100 forked tasks, 8 MB each, mostly shared", "tasks", 100, 8 << 20),
    "anon-vmas": _shape("10,000 anonymous VMAs", "anon-vmas", 10000),
    "file-vmas": _shape("10,000 file VMAs of 20 files", "file-vmas", 10000, 20),
    "descriptors": _shape("4,000 descriptors", "descriptors", 4000, 2),
    "threads": _shape("300 threads", "threads", 300),
    "sparse": _shape("100 GiB sparse, little resident", "sparse", 100 * GIB),
    "unix": _shape("1,000 pairs of unix sockets", "unix", 1000),
}


def shape_of(name):
    """One of SHAPES, or of another size: "writer:67108864"."""
    name, *arguments = name.split(":")
    shape = SHAPES[name]
    if not arguments:
        return shape
    kind = shape.arguments[0]
    return _shape(f"{name} {' '.join(arguments)}", kind, *arguments, kill=shape.kill)


@dataclass(frozen=True)
class Axis:
    title: str
    unit: str
    sizes: tuple  # in units
    arguments: callable  # of bench_target, for a size
    bytes_of: callable = lambda size: 0  # of images, about

    def shape(self, size):
        return _shape(self.title, *self.arguments(size))


AXES = {
    "resident": Axis("resident memory", "GiB in 4K pages", (1, 2, 4), lambda n: ("pages", n * GIB),
                     lambda n: n * GIB),
    "sparse": Axis("sparse memory", "GiB sparse", (16, 32, 64), lambda n: ("sparse", n * GIB)),
    "vmas": Axis("mappings", "1,000 VMAs", (20, 40, 60), lambda n: ("anon-vmas", n * 1000)),
    "tasks": Axis("tasks", "1,000 tasks", (1, 2.5, 5),
                  lambda n: ("tasks", int(n * 1000), 64 << 10)),
    "descriptors": Axis("descriptors", "1,000 descriptors", (25, 50, 100),
                        lambda n: ("descriptors", n * 1000, 20)),
    "threads": Axis("threads", "1,000 threads", (2.5, 5, 10),
                    lambda n: ("threads", int(n * 1000))),
}
