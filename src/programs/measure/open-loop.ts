/**
 * Publishes at a fixed rate, whether or not the log keeps up (an open loop), and samples when records are acknowledged. The
 * process sleeps between its records: it is paced by a timer, and an acknowledgement wakes it as it wakes any application.
 */
import * as Effect from "effect/Effect"
import * as Function from "effect/Function"
import type * as Scope from "effect/Scope"
import type { AckTimeout, PublisherHandle, PublishError } from "../../services/Publisher.ts"
import type { AckSampler } from "./ack-latency.ts"
import * as Histogram from "./histogram.ts"
import type { LatencyHistogram } from "./latency.ts"
import { monotonicMillis } from "./monotonic-clock.ts"
import * as Pacer from "./pacer.ts"

export interface OpenLoop {
  readonly recordsPerSecond: number
  /** Records become due in bursts, one each so many milliseconds. Default: 0.25. */
  readonly tickMillis?: number | undefined
  /** The number of records at which it ends, over all that the publisher has accepted. */
  readonly upTo: number
  /**
   * Records below that number are offered at the rate, but not sampled: until then compilers settle, and what they hold up is no
   * latency of the log. Default: all are sampled.
   */
  readonly sampledFrom?: number | undefined
  /** Runs once, ahead of the first record that is sampled. */
  readonly onSettled?: (() => void) | undefined
  /** The record of that number. */
  readonly recordOf: (sequence: number) => Uint8Array
}

/** About the most samples a second. */
const samplesPerSecond = 20_000

/**
 * Latency counts from when a burst was due, even if it was offered late: a stall must not hide the waits that it caused.
 * Returns how late the bursts were offered, which is the share of those waits that this process and its timer have.
 */
export const publishAtRate = Effect.fnUntraced(function*(
  publisher: PublisherHandle<Uint8Array>,
  sampler: AckSampler,
  { onSettled = Function.constVoid, recordOf, recordsPerSecond, sampledFrom = 0, tickMillis = 0.25, upTo }: OpenLoop
): Effect.fn.Return<LatencyHistogram, PublishError | AckTimeout, Scope.Scope> {
  const first = publisher.accepted()
  const burst = recordsPerSecond * tickMillis / 1000
  const recordsPerSample = Math.max(1, Math.round(recordsPerSecond / samplesPerSecond))
  const pacer = yield* Pacer.every(tickMillis)
  yield* pacer.tick
  const ticksSince = (millis: number) => Math.floor((monotonicMillis() - millis) / tickMillis)
  const beganMillis = pacer.beganMillis + tickMillis * ticksSince(pacer.beganMillis)
  const lateness = Histogram.make()
  let isSettled = false
  let bursts = 0
  for (let sequence = first; sequence < upTo;) {
    yield* pacer.tick
    const nowMillis = monotonicMillis()
    if (!isSettled && sequence >= sampledFrom) {
      isSettled = true
      onSettled()
    }
    for (const last = ticksSince(beganMillis); bursts < last;) {
      bursts += 1
      if (isSettled) lateness.record(1000 * (nowMillis - beganMillis - bursts * tickMillis))
    }
    const due = Math.min(upTo, first + Math.floor(bursts * burst))
    for (; sequence < due; sequence += 1) {
      const record = recordOf(sequence)
      if (!publisher.offer(record)) yield* publisher.send(record)
      if (isSettled && sequence % recordsPerSample === 0) {
        sampler.mark(beganMillis + tickMillis * Math.ceil((sequence - first + 1) / burst))
      }
    }
    publisher.seal()
  }
  yield* publisher.flush
  sampler.sweep()
  return lateness.encoded()
}, Effect.scoped)
