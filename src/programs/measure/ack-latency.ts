/**
 * Samples the latency of acknowledgements, cheaply enough to run beside a loop that publishes millions of records a
 * second.
 */
import * as Effect from "effect/Effect"
import * as Function from "effect/Function"
import type * as Scope from "effect/Scope"
import type { PublisherHandle, PublishError } from "../../services/Publisher.ts"
import * as Histogram from "./histogram.ts"
import type { LatencyHistogram } from "./latency.ts"
import { monotonicMillis } from "./monotonic-clock.ts"

export interface AckSampler {
  /** Samples the last accepted record; its time is now, or when it should have been sent. */
  readonly mark: (atMillis?: number) => void
  /** Records the latency of every sample acknowledged so far. */
  readonly sweep: () => void
  readonly latency: () => LatencyHistogram
}

/** The most samples in flight; further marks are ignored. */
const pendingMax = 1 << 14

/**
 * Watches a publisher. A fiber of its own waits for acknowledgements, as any application does; a loop that never gives way
 * to it must call `sweep` to notice them.
 */
export const make = Effect.fnUntraced(function*(
  publisher: PublisherHandle<Uint8Array>
): Effect.fn.Return<AckSampler, never, Scope.Scope> {
  const histogram = Histogram.make()
  const records = new Float64Array(pendingMax)
  const millis = new Float64Array(pendingMax)
  let first = 0
  let next = 0

  const sweep = (): void => {
    if (first === next) return
    const acknowledged = publisher.acknowledged()
    if ((records[first % pendingMax] as number) > acknowledged) return
    const now = monotonicMillis()
    for (; first < next && (records[first % pendingMax] as number) <= acknowledged; first += 1) {
      histogram.record((now - (millis[first % pendingMax] as number)) * 1000)
    }
  }
  const mark = (atMillis = monotonicMillis()): void => {
    if (next - first === pendingMax) return
    records[next % pendingMax] = publisher.accepted()
    millis[next % pendingMax] = atMillis
    next += 1
    marked()
  }
  let marked: () => void = Function.constVoid
  const untilMarked = Effect.callback<void>((resume) => {
    if (first < next) return resume(Effect.void)
    marked = () => {
      marked = Function.constVoid
      resume(Effect.void)
    }
  })

  // No deadline here: the publisher's flush reports an acknowledgement that never arrives.
  const watching: Effect.Effect<void, PublishError> = Effect.gen(function*() {
    while (true) {
      if (first === next) yield* untilMarked
      yield* Effect.ignore(publisher.awaitAcknowledged(records[first % pendingMax] as number))
      sweep()
    }
  })
  yield* Effect.forkScoped(Effect.ignore(watching))
  return { mark, sweep, latency: histogram.encoded }
})
