/**
 * A child of the benchmark: the measuring side of one rival.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Histogram from "../../src/programs/measure/histogram.ts"
import { runChild } from "../../src/programs/processes/child.ts"
import { askAtomics } from "./atomics.ts"
import { type Carrying, type Channel, openAsker } from "./channel.ts"
import { RivalAsker, type RivalJob, type RivalResult, windowOf } from "./jobs.ts"
import { RivalMissing } from "./missing.ts"
import { askRingbuf, streamRingbuf } from "./ringbuf.ts"

/** The rival cannot be used here. */
class RivalFailed extends Schema.TaggedError<RivalFailed>()("RivalFailed", { reason: Schema.String }) {
  override get message(): string {
    return this.reason
  }
}

const failed = (error: unknown) =>
  new RivalFailed({ reason: error instanceof RivalMissing ? error.message : String(error) })

const noLatency = Histogram.make().encoded()

const channelOf = (rival: Carrying, job: RivalJob): Effect.Effect<Channel, RivalFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({ try: () => openAsker(rival, job), catch: failed }),
    (channel) => Effect.sync(() => channel.close())
  )

const roundTrips = (channel: Channel, { messageBytes, messages, warmup }: RivalJob): Effect.Effect<RivalResult> =>
  Effect.callback((resume) => {
    const micros = new Float64Array(warmup + messages)
    const message = new Uint8Array(messageBytes).fill(7)
    let agrees = true
    let trip = 0
    let before = 0
    channel.listen((answer) => {
      const now = performance.now()
      micros[trip] = 1000 * (now - before)
      before = now
      agrees &&= answer.length === messageBytes && answer[0] === 7
      trip += 1
      if (trip < micros.length) channel.send(message)
      else resume(Effect.succeed({ latency: Histogram.encodedOf(micros, warmup), messagesPerSecond: 0, agrees }))
    })
    before = performance.now()
    channel.send(message)
  })

// Keeps at most two windows in flight: each window that the other side confirms allows another. The clock starts when
// the warm-up is confirmed.
const oneWay = (channel: Channel, job: RivalJob): Effect.Effect<RivalResult> =>
  Effect.callback((resume) => {
    const window = windowOf(job)
    const total = job.warmup + job.messages
    let sent = 0
    let counted = 0
    let sum = 0
    let began = { counted, atMillis: performance.now() }
    const pump = () => {
      for (; sent < total && sent < counted + 2 * window; sent += 1) {
        // Use a new buffer for each message: some rivals still hold the last one.
        const message = new Uint8Array(job.messageBytes)
        message[0] = sent
        sum += message[0] as number
        channel.send(message)
      }
    }
    channel.listen((answer) => {
      const now = performance.now()
      counted = Math.min(total, counted + window)
      if (began.counted === 0 && counted >= job.warmup && counted < total) began = { counted, atMillis: now }
      if (counted < total) return pump()
      const messagesPerSecond = 1000 * (total - began.counted) / (now - began.atMillis)
      const [seen] = new Float64Array(Uint8Array.from(answer.subarray(0, 8)).buffer)
      resume(Effect.succeed({ latency: noLatency, messagesPerSecond, agrees: seen === sum }))
    })
    pump()
  })

const blocking = (job: RivalJob, trips: () => Promise<Float64Array>): Effect.Effect<RivalResult, RivalFailed> =>
  Effect.map(
    Effect.tryPromise({ try: trips, catch: failed }),
    (micros) => ({ latency: Histogram.encodedOf(micros, job.warmup), messagesPerSecond: 0, agrees: true })
  )

const measure = (job: RivalJob): Effect.Effect<RivalResult, RivalFailed, Scope.Scope> => {
  const { rival } = job
  if (rival === "atomicsSpin" || rival === "atomicsWait") {
    return blocking(job, () => askAtomics(job))
  }
  if (rival === "ringbuf") {
    return job.oneWay
      ? Effect.map(
        Effect.tryPromise({ try: () => streamRingbuf(job), catch: failed }),
        (streamed) => ({ ...streamed, latency: noLatency })
      )
      : blocking(job, () => askRingbuf(job))
  }
  return Effect.flatMap(
    channelOf(rival, job),
    (channel) => job.oneWay ? oneWay(channel, job) : roundTrips(channel, job)
  )
}

runChild(RivalAsker, (job, parent) =>
  Effect.gen(function*() {
    yield* parent.ready
    yield* parent.result(yield* measure(job))
    yield* parent.end
  }).pipe(Effect.scoped))
