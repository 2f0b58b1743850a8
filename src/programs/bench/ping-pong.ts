/**
 * One side of round trips with a message of 64 bytes each way.
 */
import * as Effect from "effect/Effect"
import { Ring, type RingReaderHandle, type RingWriterHandle, type WaitStrategy } from "../../services/Ring.ts"
import * as Histogram from "../measure/histogram.ts"
import { runChild } from "../processes/child.ts"
import { inRegion } from "../processes/ring-process.ts"
import { RingTrips, type TripsJob, type TripStrategy } from "./jobs.ts"

const messageBytes = 64

/** Round trips between two turns of the event loop, for a side that spins. */
const tripsPerTurn = 1000

interface Line {
  readonly says: RingWriterHandle
  readonly hears: RingReaderHandle
}

const open = Effect.fnUntraced(function*({ asks, strategy }: TripsJob) {
  const [writes, reads] = asks ? ["questions", "answers"] : ["answers", "questions"]
  const says = yield* Ring.writer({ name: writes as string })
  const hears = yield* Ring.reader({ name: reads as string, strategy: strategyOf(strategy), awaitWriter: true })
  return { says, hears } satisfies Line
})

const strategyOf = (strategy: TripStrategy): WaitStrategy => strategy === "poll" ? "spin" : strategy

const ask = Effect.fnUntraced(function*({ hears, says }: Line, micros: Float64Array) {
  const message = new Uint8Array(messageBytes).fill(7)
  let before = performance.now()
  for (let trip = 0; trip < micros.length; trip += 1) {
    says.offer(message)
    yield* hears.pull
    const now = performance.now()
    micros[trip] = 1000 * (now - before)
    before = now
  }
})

const answer = Effect.fnUntraced(function*({ hears, says }: Line, trips: number) {
  for (let trip = 0; trip < trips; trip += 1) {
    const [message] = yield* hears.pull
    if (message !== undefined) says.offer(message.payload)
  }
})

// Makes the round trips without the event loop, as a program with no other work can.
const askPolling = Effect.fnUntraced(function*({ hears, says }: Line, micros: Float64Array) {
  const message = new Uint8Array(messageBytes).fill(7)
  const tripsUpTo = (from: number, end: number) => {
    let before = performance.now()
    for (let trip = from; trip < end; trip += 1) {
      says.offer(message)
      while (hears.poll().length === 0);
      const now = performance.now()
      micros[trip] = 1000 * (now - before)
      before = now
    }
  }
  for (let trip = 0; trip < micros.length; trip += tripsPerTurn) {
    tripsUpTo(trip, Math.min(micros.length, trip + tripsPerTurn))
    yield* Effect.yieldNow
  }
})

const answerPolling = Effect.fnUntraced(function*({ hears, says }: Line, trips: number) {
  const answerUpTo = (from: number, end: number) => {
    for (let trip = from; trip < end; trip += 1) {
      let [message] = hears.poll()
      while (message === undefined) [message] = hears.poll()
      says.offer(message.payload)
    }
  }
  for (let trip = 0; trip < trips; trip += tripsPerTurn) {
    answerUpTo(trip, Math.min(trips, trip + tripsPerTurn))
    yield* Effect.yieldNow
  }
})

const converse = Effect.fnUntraced(function*({ asks, strategy, trips, warmup }: TripsJob, line: Line) {
  const micros = new Float64Array(warmup + trips)
  const polling = strategy === "poll"
  if (asks) yield* polling ? askPolling(line, micros) : ask(line, micros)
  else yield* polling ? answerPolling(line, micros.length) : answer(line, micros.length)
  return Histogram.encodedOf(micros, warmup)
})

runChild(RingTrips, (job, parent) =>
  Effect.gen(function*() {
    const line = yield* open(job)
    yield* parent.ready
    if (job.asks) yield* parent.begin
    yield* parent.result(yield* converse(job, line))
    yield* parent.end
  }).pipe(Effect.scoped, inRegion(job)))
