"""What a search may try, fixed once the need, the hardware and the plan are known."""

from __future__ import annotations

from fitwright.records.recipe import Recipe
from fitwright.records.record import Record

Chain = tuple[Recipe, ...]


class Body(Record):
    """What may follow the rewriting of the graph: the end of a chain.

    Attributes:
        backends: those on which it can pay.
        seldom_faster: it saves storage rather than time.
        finer_ranges: it computes what an earlier body does with int8 ranges chosen more
            carefully, so it is made only where the outputs of that one are too far away.
    """

    recipes: Chain
    backends: frozenset[str]
    seldom_faster: bool = False
    finer_ranges: bool = False


class Agenda(Record):
    """Chains of recipes worth making for this model on this device.

    Attributes:
        rewrites: chains that compute the same by other operators, each growing on others of
            them; the first fixes the shapes.
        bodies: what is put on the best rewriting of each backend, cheap before expensive.
        shorter: what spares the padding of queries, each put on the best rewritings; none where
            there is no padding to spare.
    """

    rewrites: tuple[Chain, ...] = ()
    bodies: tuple[Body, ...] = ()
    shorter: tuple[Recipe, ...] = ()

    @property
    def chains(self) -> tuple[Chain, ...]:
        """Every rewriting, the longest for padded queries, then every body on the first."""
        first, longest = next(iter(self.rewrites), ()), max(self.rewrites, key=len, default=())
        return (
            *self.rewrites,
            *((*longest, recipe) for recipe in self.shorter),
            *((*first, *body.recipes) for body in self.bodies),
        )
