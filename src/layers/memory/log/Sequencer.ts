/**
 * The sequencer of this heap: a fiber runs passes while there is work, or a test steps it.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import { Sequencer, type SequencerEvent, type SequencerStatus } from "../../../services/Sequencer.ts"
import { HeapLog } from "./HeapLog.ts"
import { epochMicrosLeft } from "./sequencer/commit.ts"
import { leaseMicrosLeft } from "./sequencer/lease.ts"
import { pass } from "./sequencer/pass.ts"
import type { SequencerState } from "./sequencer/SequencerState.ts"
import { StallEvents } from "./sequencer/stalls.ts"

export const layer: Layer.Layer<Sequencer, never, HeapLog> = Layer.effect(
  Sequencer,
  Effect.gen(function*() {
    const { order, stallMillis } = yield* HeapLog
    const { heap } = order
    const drive = yield* makeDrive(order, stallMillis)
    yield* Effect.addFinalizer(() => drive.stop)
    if (!order.options.manual) yield* Effect.forkScoped(drive.ordering)
    yield* Effect.forkScoped(drive.watching)
    return Sequencer.of({
      // The service is that of the log's present server.
      get epoch() {
        return heap.epoch
      },
      status: Effect.sync(() => statusOf(order)),
      step: Effect.suspend(() => heap.stopped ? Effect.succeed(false) : drive.run(true)),
      pause: Effect.sync(() => {
        order.paused = true
      }),
      resume: Effect.sync(() => {
        order.paused = false
        heap.wakeSequencer()
      }),
      lost: Effect.never,
      events: drive.events
    })
  })
)

// --- internal ---

const eventsKept = 1024

/** Ends the streams of events. */
const noMoreEvents = Symbol("noMoreEvents")

const makeDrive = Effect.fnUntraced(function*(order: SequencerState, stallMillis: number) {
  const { heap } = order
  const events = yield* PubSub.sliding<SequencerEvent | typeof noMoreEvents>(eventsKept)
  const watch = new StallEvents(order, stallMillis)
  const work = Latch.makeUnsafe(false)
  const stalling = Latch.makeUnsafe(false)
  heap.wakeSequencer = () => work.openUnsafe()

  const run = Effect.fnUntraced(function*(commitNow: boolean) {
    if (heap.unservedMicros !== undefined) return false
    const moved = pass(order, commitNow)
    if (watch.nextMicros() !== undefined) stalling.openUnsafe()
    yield* PubSub.publishAll(events, order.takeEvents())
    if (moved) heap.members.ring()
    return moved
  })

  const stop = Effect.gen(function*() {
    yield* run(true) // order what was published before the stop
    heap.stopped = true
    heap.members.ring()
    yield* PubSub.end(events, noMoreEvents)
  })

  return {
    run,
    stop,
    ordering: ordering(order, work, run),
    watching: watching(
      watch,
      stalling,
      () => heap.unservedMicros !== undefined,
      (told) => PubSub.publishAll(events, told)
    ),
    events: Stream.fromPubSub(events).pipe(Stream.takeWhile(isEvent))
  }
})

const isEvent = (event: SequencerEvent | typeof noMoreEvents): event is SequencerEvent => event !== noMoreEvents

// Yield before each pass, as if the sequencer were another thread: the fiber that woke it continues first.
const ordering = (order: SequencerState, work: Latch.Latch, run: (commitNow: boolean) => Effect.Effect<boolean>) =>
  Effect.gen(function*() {
    while (true) {
      yield* workOrTime(order, work)
      work.closeUnsafe()
      yield* Effect.yieldNow
      while (!order.paused && (yield* run(false))) yield* Effect.yieldNow
    }
  })

// Commit an epoch that is open while batches are held in time, even if no more batches arrive, and count gaps.
const workOrTime = (order: SequencerState, work: Latch.Latch): Effect.Effect<void> =>
  Effect.suspend(() => {
    const left = microsLeft(order)
    return left === undefined ? work.await : Effect.raceFirst(work.await, Effect.sleep(Math.max(0, left) / 1000))
  })

const microsLeft = (order: SequencerState): number | undefined => {
  if (order.paused || order.heap.unservedMicros !== undefined) return undefined
  const lease = leaseMicrosLeft(order)
  if (order.ready.length === 0) return lease
  return Math.min(epochMicrosLeft(order), lease ?? Infinity)
}

// Sleeps with a timeout only while a stall may have to be reported.
const watching = (
  watch: StallEvents,
  stalling: Latch.Latch,
  isDead: () => boolean,
  tell: (events: ReadonlyArray<SequencerEvent>) => Effect.Effect<unknown>
) =>
  Effect.gen(function*() {
    while (true) {
      yield* stalling.await
      stalling.closeUnsafe()
      for (let left = watch.nextMicros(); left !== undefined; left = watch.nextMicros()) {
        yield* Effect.sleep(left / 1000)
        const due = watch.due()
        if (!isDead()) yield* tell(due)
      }
    }
  })

const statusOf = (order: SequencerState): SequencerStatus => ({
  epoch: order.heap.epoch,
  state: order.heap.stopped ? "stopped" : order.paused ? "paused" : "serving",
  passes: order.passes,
  commits: order.commits,
  batches: order.batches,
  messages: order.messages,
  duplicates: order.duplicates,
  purged: order.purged,
  held: order.held
})
