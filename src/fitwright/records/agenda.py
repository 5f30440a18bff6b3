"""What a search may try, fixed once the need, the hardware and the plan are known."""

from __future__ import annotations

from fitwright.records.recipe import Buckets, Recipe, Trim, bucketed
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
            them; the first fixes the shapes. One that trims queries stands by itself.
        bodies: what is put on the best rewriting of each backend, cheap before expensive.
        buckets: lengths at which the fastest of each backend are joined; None: only the longest.
    """

    rewrites: tuple[Chain, ...] = ()
    bodies: tuple[Body, ...] = ()
    buckets: Buckets | None = None

    @property
    def at_one_length(self) -> tuple[Chain, ...]:
        """The rewritings that compute every query whole."""
        return tuple(c for c in self.rewrites if not c or not isinstance(c[0], Trim))

    @property
    def chains(self) -> tuple[Chain, ...]:
        """Every rewriting, the longest at several lengths, then every body on the first."""
        (first, *_) = self.rewrites or ((),)
        joined = self.buckets and bucketed(max(self.at_one_length, key=len), self.buckets)
        return (
            *self.rewrites,
            *((joined,) if joined else ()),
            *((*first, *body.recipes) for body in self.bodies),
        )
