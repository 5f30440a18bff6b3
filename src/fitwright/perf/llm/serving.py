"""Serving as events: requests arrive, wait for cache, prefill, decode together, and leave.

Between two events every pass is alike but for the growing contexts, whose cost is linear: such
runs of passes are taken in one jump, so that a million tokens cost as many events as there are
prompts and ends. Policies as the engines have them: ``prefill_first`` (SGLang, early vLLM: while
prompts wait nobody decodes), ``mixed`` (TensorRT-LLM: whole prompts join the decoding batch) and
``chunked`` (vLLM today: prompts are cut to fill the pass).
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from fitwright.perf.llm.counts import prefill_pairs
from fitwright.perf.llm.step import Cost, Pass, StepModel

Order = Literal["prefill_first", "mixed", "chunked"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One prompt and the number of tokens that answer it."""

    arrival_s: float
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """How an engine forms its batches.

    Attributes:
        max_batch: sequences that are served at once.
        max_tokens: of one pass.
        cache_tokens: that fit in memory, over all sequences.
        reserves: a request is let in only when its last token will have a place, too; otherwise
            it is let in with its prompt, and the youngest is thrown out (and computed again)
            when the cache is full.
        watermark: share of the cache that nobody is let into while others run: without it the
            one that was thrown out would come back at once and throw out the next.
        expects: share of the answers still to come that room is kept for.
    """

    order: Order = "chunked"
    max_batch: int = 256
    max_tokens: int = 8192
    cache_tokens: float = float("inf")
    reserves: bool = False
    watermark: float = 0.01
    expects: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """One request's times: until its first token, and per further token on average."""

    request: Request
    first_s: float
    end_s: float

    @property
    def ttft_s(self) -> float:
        """Waiting included."""
        return self.first_s - self.request.arrival_s

    @property
    def tpot_s(self) -> float:
        """0 for an answer of a single token."""
        return (self.end_s - self.first_s) / max(self.request.output_tokens - 1, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A whole run.

    Attributes:
        duration_s: from the first arrival to the last token.
        flops, bytes_moved: of one device, over the run.
        output_tokens: of all requests; `recomputed_tokens` were prefilled a second time.
        mean_batch: sequences decoding, averaged over passes that decode.
    """

    served: tuple[Served, ...]
    duration_s: float
    flops: float
    bytes_moved: float
    output_tokens: int
    recomputed_tokens: int
    mean_batch: float

    @property
    def output_tokens_per_s(self) -> float:
        """Of the whole group."""
        return self.output_tokens / self.duration_s

    @property
    def requests_per_s(self) -> float:
        """Of the whole group."""
        return len(self.served) / self.duration_s


@dataclass(slots=True)
class _Sequence:
    request: Request
    index: int
    done: int = 0  # tokens given out
    prefilled: int = 0  # of its prompt (and, thrown out, of what it had given out)
    first_s: float = 0.0
    born: int = 0  # pass number that its decoding is counted from
    alive: bool = True

    @property
    def prompt(self) -> int:
        return self.request.input_tokens + self.done


@dataclass(slots=True)
class _State:
    model: StepModel
    policy: Policy
    now: float = 0.0
    passes: int = 0  # in which the running ones got a token each
    context: float = 0.0
    held: float = 0.0  # cache promised or used by those let in
    full: float = 0.0  # what they will hold with their last token
    flops: float = 0.0
    bytes_moved: float = 0.0
    recomputed: int = 0
    batch_sum: float = 0.0
    waiting: deque[_Sequence] = field(default_factory=deque)
    filling: deque[_Sequence] = field(default_factory=deque)
    running: list[tuple[int, int, _Sequence]] = field(default_factory=list)
    order: list[_Sequence] = field(default_factory=list)  # running ones, oldest first
    num_running: int = 0
    served: list[Served] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    def spend(self, cost: Cost, times: float = 1.0) -> None:
        self.flops += cost.flops * times
        self.bytes_moved += cost.bytes_moved * times


def _claim(policy: Policy, s: _Sequence) -> float:
    """Cache that a sequence is let in for."""
    if policy.reserves:
        return float(s.request.input_tokens + s.request.output_tokens)
    return float(s.prompt + 1)


def _let_in(state: _State) -> None:
    """First come, first served, while there is a seat and cache."""
    p = state.policy
    while state.waiting:
        s = state.waiting[0]
        seats = p.max_batch - state.num_running - len(state.filling)
        claim = _claim(p, s)
        alone = state.num_running + len(state.filling) == 0
        if seats <= 0 or not (alone or _has_room(state, s, claim)):
            return
        state.held += claim
        state.full += _length(s)
        state.filling.append(state.waiting.popleft())


def _length(s: _Sequence) -> int:
    """With its last token."""
    return s.request.input_tokens + s.request.output_tokens


def _has_room(state: _State, s: _Sequence, claim: float) -> bool:
    """For the claim, and for what those who run beside it are expected to grow by."""
    p = state.policy
    if p.reserves:
        return state.held + claim <= p.cache_tokens
    held = state.held + claim
    growth = p.expects * (state.full + _length(s) - held)
    return held + growth <= p.cache_tokens * (1 - p.watermark)


def _chunks(state: _State) -> list[tuple[_Sequence, int]]:
    """Prompts, or parts of them, that the next pass takes."""
    p = state.policy
    room = p.max_tokens - (0 if p.order == "prefill_first" else state.num_running)
    taken: list[tuple[_Sequence, int]] = []
    for s in state.filling:
        left = s.prompt - s.prefilled
        part = left if left <= room else 0
        if part == 0 and (p.order == "chunked" or (left > p.max_tokens and not taken)):
            part = max(min(left, room), 0)  # a prompt beyond the limit is cut in any case
        if part <= 0:
            break
        taken.append((s, part))
        room -= part
    return taken


def _start(state: _State, s: _Sequence) -> None:
    """The prompt is in the cache and has given its first token (or its next, thrown out)."""
    if s.done == 0:
        s.first_s = state.now
    s.done += 1
    if s.done >= s.request.output_tokens:
        _leave(state, s, held=_claim(state.policy, s) if state.policy.reserves else s.prompt)
        return
    s.born = state.passes - (s.done - 1)
    heapq.heappush(state.running, (s.born + s.request.output_tokens - 1, s.index, s))
    state.order.append(s)
    state.num_running += 1
    state.context += s.prompt


def _leave(state: _State, s: _Sequence, *, held: float) -> None:
    s.alive = False
    state.held -= held
    state.full -= _length(s)
    state.served.append(Served(request=s.request, first_s=s.first_s, end_s=state.now))


def _end_finished(state: _State) -> int:
    """Those whose last token is out; how many left."""
    ended = 0
    while state.running and state.running[0][0] <= state.passes:
        _, _, s = heapq.heappop(state.running)
        if not s.alive:
            continue
        s.done = s.request.output_tokens
        full = s.request.input_tokens + s.request.output_tokens
        state.context -= full
        state.num_running -= 1
        _leave(state, s, held=float(full))
        ended += 1
    return ended


def _throw_out_youngest(state: _State) -> None:
    """Its cache is freed; it waits at the front to be computed again."""
    while not state.order[-1].alive:
        state.order.pop()
    s = state.order.pop()
    s.done = state.passes - s.born + 1
    state.context -= s.prompt
    state.held -= s.prompt
    state.full -= _length(s)
    state.num_running -= 1
    s.alive = False
    again = _Sequence(request=s.request, index=next(state.numbers), done=s.done, first_s=s.first_s)
    state.recomputed += s.prompt
    state.waiting.appendleft(again)


def _prefill_pass(state: _State, taken: Sequence[tuple[_Sequence, int]]) -> None:
    decoding = 0 if state.policy.order == "prefill_first" else state.num_running
    asked = Pass(
        prefill_tokens=sum(n for _, n in taken),
        prefill_pairs=sum(prefill_pairs(new=n, past=s.prefilled) for s, n in taken),
        decode=decoding,
        context=state.context if decoding else 0.0,
        finished_prompts=sum(s.prefilled + n == s.prompt for s, n in taken),
    )
    cost = state.model.cost(asked)
    state.spend(cost)
    state.now += cost.time_s
    if decoding:
        _advance(state, 1)
    for s, n in taken:
        s.prefilled += n
        if s.prefilled == s.prompt:
            state.filling.remove(s)
            _start(state, s)


def _advance(state: _State, passes: int) -> None:
    state.passes += passes
    state.batch_sum += passes * state.num_running
    state.context += passes * state.num_running
    if not state.policy.reserves:
        state.held += passes * state.num_running


def _decode_run(state: _State, *, until_s: float) -> None:
    """As many equal passes as nothing changes in: to the next end, arrival or full cache."""
    b = state.num_running
    while state.running and not state.running[0][2].alive:
        heapq.heappop(state.running)
    passes = state.running[0][0] - state.passes
    if not state.policy.reserves:
        room = min(state.policy.cache_tokens - state.held, float(passes * b)) / b
        if room < 1 and b > 1:
            _throw_out_youngest(state)
            return
        passes = max(1, min(passes, int(room)))
    first = state.model.cost(Pass(decode=b, context=state.context))
    if until_s < float("inf"):
        passes = min(passes, max(1, int((until_s - state.now) / first.time_s) + 1))
    last = state.model.cost(Pass(decode=b, context=state.context + (passes - 1) * b))
    state.now += passes * (first.time_s + last.time_s) / 2
    state.spend(first, passes / 2)
    state.spend(last, passes / 2)
    _advance(state, passes)


def simulate(
    model: StepModel, requests: Sequence[Request], policy: Policy, *, concurrency: int | None = None
) -> Outcome:
    """Serve all requests.

    Args:
        model: time, FLOP and bytes of a pass.
        requests: by arrival.
        policy: of the engine.
        concurrency: a closed loop: so many clients, each asks again when its answer is
            complete, and the arrival times of the requests are ignored.
    """
    state = _State(model=model, policy=policy)
    ahead = deque(requests)
    clients = concurrency if concurrency is not None else 0
    for _ in range(min(clients, len(ahead))):
        _arrive(state, ahead.popleft(), now=True)
    start = 0.0 if concurrency is not None or not ahead else ahead[0].arrival_s
    state.now = max(state.now, start)
    while len(state.served) < len(requests):
        before = len(state.served)
        if concurrency is None:
            while ahead and ahead[0].arrival_s <= state.now:
                _arrive(state, ahead.popleft(), now=False)
        _let_in(state)
        taken = _chunks(state)
        if taken:
            _prefill_pass(state, taken)
        elif state.num_running:
            waits = concurrency is None and ahead and state.num_running < policy.max_batch
            _decode_run(state, until_s=ahead[0].arrival_s if waits else float("inf"))
        elif ahead:
            state.now = max(state.now, ahead[0].arrival_s)
        _end_finished(state)
        if concurrency is not None:
            for _ in range(min(len(state.served) - before, len(ahead))):
                _arrive(state, ahead.popleft(), now=True)
    return _outcome(state, start)


def _arrive(state: _State, request: Request, *, now: bool) -> None:
    if now:
        request = Request(
            arrival_s=state.now,
            input_tokens=request.input_tokens,
            output_tokens=request.output_tokens,
        )
    state.waiting.append(_Sequence(request=request, index=next(state.numbers)))


def _outcome(state: _State, start: float) -> Outcome:
    return Outcome(
        served=tuple(state.served),
        duration_s=state.now - start,
        flops=state.flops,
        bytes_moved=state.bytes_moved,
        output_tokens=sum(s.request.output_tokens for s in state.served),
        recomputed_tokens=state.recomputed,
        mean_batch=state.batch_sum / state.passes if state.passes else 0.0,
    )
