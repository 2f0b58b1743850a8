/**
 * The two roles of the trial of delivery fences: workers send bursts and meet at a barrier; a collector with an
 * artificially slow handler checks after each release whether any message sent before it is missing.
 *
 * It comes in two forms. With `start`, a rendezvous opens each iteration, so that nothing of the next burst can come
 * before the collector has made ready for it. Without, nothing is made ready: the only oracle is that each sender's
 * messages come one after the other, and how many of them have.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import type { Barrier, BarrierError } from "../../../src/services/Barrier.ts"
import { Messenger } from "../../../src/services/Messenger.ts"
import type { BarrierMode } from "../../../src/services/schema/BarrierArrival.ts"

export type FenceForm = "start" | "contiguity"

export interface FencePlan {
  readonly form: FenceForm
  readonly mode: Exclude<BarrierMode, "rendezvous">
  readonly workers: number
  readonly iterations: number
  readonly burst: number
  readonly handlerMillis: number
  readonly group: string
  /** Distinguishes the runs of reused members. */
  readonly run: number
}

export interface FenceVerdict {
  readonly iterations: number
  readonly messages: number
  /** Messages that were sent before a release and not delivered (or handled, by the mode) after it. */
  readonly missing: number
  /** Messages out of order, and other errors. */
  readonly problems: ReadonlyArray<string>
}

export interface FenceMember {
  readonly barrier: Barrier["Service"]
  readonly messenger: Messenger["Service"]
}

const Shot = Messenger.event(
  "fence shot",
  Schema.Struct({ run: Schema.Int, worker: Schema.Int, iteration: Schema.Int, sequence: Schema.Int })
)

export const playWorker = Effect.fnUntraced(
  function*({ barrier, messenger }: FenceMember, plan: FencePlan, worker: number) {
    const { burst, form, group, iterations, mode, run } = plan
    const deadline = "20 seconds"
    yield* barrier.enter("ready", { mode: "rendezvous", group, deadline })
    for (let iteration = 0; iteration < iterations; iteration += 1) {
      if (form === "start") yield* barrier.enter("start", { mode: "rendezvous", group, deadline })
      for (let shot = 0; shot < burst; shot += 1) {
        yield* messenger.send(Shot, { run, worker, iteration, sequence: iteration * burst + shot })
        if ((shot + worker + iteration) % 3 === 0) yield* Effect.yieldNow
      }
      yield* barrier.enter("iteration", { mode, group, deadline })
    }
    yield* barrier.enter("done", { mode, group, deadline })
    return { iterations, messages: iterations * burst, missing: 0, problems: [] } satisfies FenceVerdict
  },
  Effect.scoped
)

export const playCollector = Effect.fnUntraced(function*({ barrier, messenger }: FenceMember, plan: FencePlan) {
  const { burst, form, group, iterations, mode, workers } = plan
  const deadline = "20 seconds"
  const seen = new Seen(plan)
  yield* messenger.subscribe(Shot, (shot) => {
    if (shot.run !== plan.run) return Effect.void
    seen.begins(shot)
    return Effect.map(Effect.sleep(plan.handlerMillis), () => seen.ends(shot))
  })
  yield* barrier.enter("ready", { mode: "rendezvous", group, deadline })
  let missing = 0
  for (let iteration = 0; iteration < iterations; iteration += 1) {
    if (form === "start") {
      // Prepare before the rendezvous, not after the barrier, when the next burst may already be arriving.
      const first = seen.expectFirst()
      yield* barrier.enter("start", { mode: "rendezvous", group, deadline })
      yield* Effect.timeout(first.await, "5 seconds")
    }
    yield* barrier.enter("iteration", { mode, group, deadline })
    for (let worker = 0; worker < workers; worker += 1) {
      const count = seen.count(worker)
      missing += Math.max(0, (iteration + 1) * burst - count)
      if (form === "start" && count > (iteration + 1) * burst) {
        seen.problems.push(`worker ${worker} is ahead of the start`)
      }
    }
  }
  yield* barrier.enter("done", { mode, group, deadline })
  const messages = Array.from({ length: workers }, (_, worker) => seen.count(worker)).reduce((a, b) => a + b, 0)
  return { iterations, messages, missing, problems: seen.problems } satisfies FenceVerdict
}, Effect.scoped)

export type FenceError = Effect.Error<ReturnType<typeof playCollector>> | BarrierError

// --- internal ---

type Shot = { readonly worker: number; readonly iteration: number; readonly sequence: number }

class Seen {
  readonly problems: Array<string> = []
  readonly #counts: ReadonlyArray<{ begun: number; ended: number }>
  readonly #plan: FencePlan
  #first = Latch.makeUnsafe(false)

  constructor(plan: FencePlan) {
    this.#plan = plan
    this.#counts = Array.from({ length: plan.workers }, () => ({ begun: 0, ended: 0 }))
  }

  expectFirst(): Latch.Latch {
    this.#first = Latch.makeUnsafe(false)
    return this.#first
  }

  begins({ iteration, sequence, worker }: Shot): void {
    const counts = this.#counts[worker]
    if (counts === undefined) return void this.problems.push(`there is no worker ${worker}`)
    if (sequence !== counts.begun || iteration !== Math.floor(sequence / this.#plan.burst)) {
      this.problems.push(`worker ${worker}: ${sequence} came after ${counts.begun - 1}`)
    }
    counts.begun += 1
    this.#first.openUnsafe()
  }

  ends({ worker }: Shot): void {
    const counts = this.#counts[worker]
    if (counts !== undefined) counts.ended += 1
  }

  /** The number of that worker's messages that the mode promises. */
  count(worker: number): number {
    const counts = this.#counts[worker]
    return (this.#plan.mode === "deliveryFence" ? counts?.begun : counts?.ended) ?? 0
  }
}
