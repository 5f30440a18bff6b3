"""Mixes follow from the records alone: slow groups first, then bisection, then the end."""

from __future__ import annotations

from fitwright.records.figure import Figure
from fitwright.records.plan import Settings
from fitwright.records.recipe import Adapted, FixShapes, Int8Static, Recipe, Variant
from fitwright.records.sensitivity import Group, GroupEffect, Sensitivity
from fitwright.records.trial import Candidate, Failure, Trial
from fitwright.tune.mixed import next_mixed
from needs import need

BASE: tuple[Recipe, ...] = (FixShapes(), Int8Static(toolkit="nncf"))


def effect(name: str, gained_s: float, error: float, *, spread_s: float = 1e-5) -> GroupEffect:
    return GroupEffect(
        group=Group(name=name, operators=(f"{name}.a", f"{name}.b")),
        error=Figure.measured(error),
        float_time=Figure.measured(1e-2, unit="s"),
        gained=Figure.measured(
            gained_s, low=gained_s - spread_s, high=gained_s + spread_s, unit="s"
        ),
    )


def sensitivity(*effects: GroupEffect) -> Sensitivity:
    return Sensitivity(
        chain=BASE,
        backend="openvino",
        effects=effects,
        error=Figure.measured(0.1),
        unassigned=Figure.measured(0.0, unit="s"),
    )


class Run:
    """Makes and tries every chain that is proposed; a mix is good when it keeps enough."""

    def __init__(self, found: Sensitivity, *, limit: float) -> None:
        self.found, self.limit = found, limit
        self.adapted = Adapted()
        self.trials: list[Trial] = []
        self.proposed: list[set[str]] = []
        self.make(BASE)

    def make(self, chain: tuple[Recipe, ...]) -> None:
        last = chain[-1]
        assert isinstance(last, Int8Static)
        number = len(self.adapted.variants)
        variant = Variant(
            id=f"v{number}", recipes=chain, file="m", files=("m",), format="openvino_ir",
            sha256="0" * 64, size_bytes=1, backends=("openvino",),
        )  # fmt: skip
        self.adapted = Adapted(
            variants=(*self.adapted.variants, variant),
            chains=(*self.adapted.chains, chain),
            made=(*self.adapted.made, variant.id),
        )
        left = [e for e in self.found.effects if e.group.operators[0] not in last.keep]
        error = sum((e.error.value or 0) ** 2 for e in left) ** 0.5
        far = error > self.limit
        candidate = Candidate(
            variant_id=variant.id, title="", backend="openvino", settings=Settings()
        )
        failure = Failure(cause="disagrees", detail="too far") if far else None
        self.trials.append(
            Trial(
                number=number, round=3, candidate=candidate, reason="",
                decision="failed" if far else "rejected", failure=failure,
            )
        )  # fmt: skip

    def go_on(self) -> None:
        while chain := next_mixed(self.trials, self.adapted, self.found, need()):
            assert chain not in self.adapted.chains
            last = chain[-1]
            assert isinstance(last, Int8Static)
            self.proposed.append({name.split(".")[0] for name in last.keep})
            self.make(chain)
            assert len(self.proposed) < 20, "it ends by itself"


def test_groups_that_int8_makes_slower_go_back_first_then_those_it_hardly_helps() -> None:
    found = sensitivity(
        effect("fast", 5e-3, 0.01), effect("slow", -1e-3, 0.01), effect("idle", 1e-6, 0.01)
    )
    run = Run(found, limit=1.0)
    run.go_on()
    assert run.proposed == [{"slow"}, {"slow", "idle"}]


def test_a_group_that_may_be_slower_within_the_noise_is_not_called_slow() -> None:
    run = Run(sensitivity(effect("a", -1e-6, 0.01), effect("b", 5e-3, 0.01)), limit=1.0)
    run.go_on()
    assert run.proposed == [{"a"}]  # as hardly helped, once


def test_nothing_is_proposed_when_everything_gains_and_agrees() -> None:
    run = Run(sensitivity(effect("a", 1e-3, 0.01), effect("b", 2e-3, 0.01)), limit=1.0)
    run.go_on()
    assert run.proposed == []


def test_a_broken_agreement_is_bisected_to_the_fewest_groups_kept() -> None:
    errors = [0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001]
    found = sensitivity(*(effect(f"g{i}", 1e-3, e) for i, e in enumerate(errors)))
    run = Run(found, limit=0.03)
    run.go_on()
    good = [t for t in run.trials if t.failure is None]
    kept = min(len(run.proposed[t.number - 1]) for t in good)
    assert kept == 3  # what is left then is at 0.023; with two kept it is 0.055
    assert len(run.proposed) <= 4  # of nine rungs


def test_when_only_time_breaks_a_limit_no_accuracy_is_bought() -> None:
    found = sensitivity(effect("a", 1e-3, 0.01), effect("b", 2e-3, 0.01))
    run = Run(found, limit=1.0)
    run.trials[0] = run.trials[0].model_copy(
        update={"decision": "failed", "failure": Failure(cause="timeout", detail="")}
    )
    run.go_on()
    assert run.proposed == []


def test_trials_on_another_backend_say_nothing() -> None:
    found = sensitivity(effect("a", 1e-3, 0.5), effect("b", 2e-3, 0.01))
    run = Run(found, limit=0.1)
    elsewhere = run.trials[0].candidate.model_copy(update={"backend": "onnxruntime"})
    trials = [run.trials[0].model_copy(update={"candidate": elsewhere})]
    assert next_mixed(trials, run.adapted, found, need()) is None
