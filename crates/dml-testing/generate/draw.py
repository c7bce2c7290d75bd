"""Random inputs of a case. Every real number is exact in single precision."""

import hashlib

import numpy
import torch

DIM = 6
CLASSES = 4
ROWS = 12


class Draw:
    """The draws of one attempt at a case; the seed follows from the run's seed, the case's path and the attempt."""

    def __init__(self, seed: int, path: str, attempt: int):
        digest = hashlib.sha256(f"{seed}/{path}/{attempt}".encode()).digest()
        self.rng = numpy.random.default_rng(int.from_bytes(digest[:16], "little"))

    def normal(self, *shape: int, scale: float = 1.0) -> torch.Tensor:
        return torch.tensor(scale * self.rng.normal(size=shape), dtype=torch.float32)

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        return torch.tensor(self.rng.uniform(low, high, size=shape), dtype=torch.float32)

    def classes(self, rows: int = ROWS, classes: int = CLASSES, least: int = 2) -> torch.Tensor:
        """Labels 0 to `classes - 1` in random order, each at least `least` times."""
        labels = numpy.resize(numpy.arange(classes), classes * least)
        rest = self.rng.integers(0, classes, size=max(rows - len(labels), 0))
        return torch.tensor(self.rng.permutation(numpy.concatenate([labels, rest])[:rows]))

    def labels(self, rows: int = ROWS, classes: int = CLASSES, least: int = 2) -> torch.Tensor:
        """The same with any whole numbers as labels, some of them negative."""
        values = self.rng.choice(numpy.arange(-20, 80), size=classes, replace=False)
        return torch.tensor(values)[self.classes(rows, classes, least)]

    def rows(self, labels: torch.Tensor, dim: int = DIM, spread: float = 1.0) -> torch.Tensor:
        """Rows around one centre for each label: some pairs of a label are close and some are not."""
        values, which = torch.unique(labels, return_inverse=True)
        return 0.8 * self.normal(len(values), dim)[which] + self.normal(len(labels), dim, scale=spread)

    def some(self, columns: tuple, count: int) -> tuple:
        """`count` of the given tuples, in random order."""
        chosen = torch.tensor(self.rng.permutation(len(columns[0]))[:count])
        return tuple(column[chosen] for column in columns)

    def rows_in_order(self, count: int) -> torch.Tensor:
        return torch.arange(count)

    def columns(self, pairs: list, columns: int, rows: int) -> list[torch.Tensor]:
        """Pairs as two columns, or with a third row as three."""
        found = [torch.tensor(column) for column in zip(*pairs)]
        if columns == 3:
            found.append(torch.tensor(self.rng.integers(0, rows, size=len(pairs))))
        return found
