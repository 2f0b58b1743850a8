/**
 * Runs the sequencer's native thread until the scope closes, and reports dead processes, stalled readers and missing
 * batches.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import type { NativeCounters } from "../../../native/binding.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import {
  Sequencer,
  type SequencerEvent,
  type SequencerOptions,
  type SequencerStatus
} from "../../../services/Sequencer.ts"
import { sequencerTimes } from "../../log/checkOptions.ts"
import { attempt } from "../region/NativeError.ts"
import { NativeRegion } from "../region/NativeRegion.ts"
import { SequencerEvents } from "./SequencerEvents.ts"

export interface Options extends SequencerOptions {
  /**
   * How long a reader may hold up publishers, or a gap may last, before it is reported as an event. Default 1 second.
   */
  readonly stallAfter?: Duration.Input | undefined
}

export const layer = (options: Options = {}): Layer.Layer<Sequencer, RegionError, NativeRegion> =>
  Layer.effect(
    Sequencer,
    Effect.gen(function*() {
      const region = yield* NativeRegion
      const { handle, info } = region
      const { epochMicros, stallMillis } = yield* sequencerTimes(info.name, options)
      const sequencer = yield* Effect.acquireRelease(
        attempt(
          info.name,
          () =>
            handle.startSequencer(epochMicros, options.drive === "manual", options.unsafeIgnoreSessionOrder === true)
        ),
        (started) => Effect.sync(() => started.stop())
      )
      const events = yield* PubSub.sliding<SequencerEvent>(eventsKept)
      const watch = new SequencerEvents(handle, sequencer, stallMillis)
      yield* Effect.forkScoped(watching(watch, events))
      const counters = Effect.sync(() => sequencer.counters())
      return Sequencer.of({
        epoch: sequencer.counters().epoch,
        status: Effect.map(counters, statusOf),
        step: Effect.sync(() => sequencer.step()),
        pause: Effect.sync(() => sequencer.pause()),
        resume: Effect.sync(() => sequencer.resume()),
        events: Stream.fromPubSub(events)
      })
    })
  )

// --- internal ---

const eventsKept = 1024

/** How often to look for dead processes: well below the second within which their lanes and gates must be freed. */
const watchMillis = 100

const watching = (watch: SequencerEvents, events: PubSub.PubSub<SequencerEvent>) =>
  Effect.forever(Effect.gen(function*() {
    const seen = watch.look()
    if (seen.length > 0) yield* PubSub.publishAll(events, seen)
    yield* Effect.sleep(watchMillis)
  }))

const statusOf = (counters: NativeCounters): SequencerStatus => ({
  epoch: counters.epoch,
  state: counters.stopped ? "stopped" : counters.paused ? "paused" : "serving",
  passes: counters.passes,
  commits: counters.commits,
  batches: counters.batches,
  messages: counters.messages,
  duplicates: counters.duplicates,
  purged: counters.purged,
  held: counters.held
})
