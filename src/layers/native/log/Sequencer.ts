/**
 * Runs the sequencer's native thread until the scope closes, and reports dead processes, stalled readers, missing batches,
 * and whether another process has taken over the log.
 */
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { NativeCounters, NativeRecovery, SequencerHandle } from "../../../native/binding.ts"
import { type NamedProcess, type ProcessId, processIdOf } from "../../../services/schema/ProcessId.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import {
  Deposed,
  Sequencer,
  type SequencerEvent,
  type SequencerOptions,
  type SequencerStatus,
  type TakenOver
} from "../../../services/Sequencer.ts"
import type { ReplicasOptions } from "../../files/replica/replicaOptions.ts"
import { sequencerTimes } from "../../log/checkOptions.ts"
import type { ClientOptions } from "../../log/serverDeadline.ts"
import { attemptPromise } from "../region/NativeError.ts"
import { NativeRegion } from "../region/NativeRegion.ts"
import { SequencerEvents } from "./SequencerEvents.ts"
import { startedInTime } from "./SequencerStart.ts"

export interface Options extends SequencerOptions, ClientOptions, Pick<ReplicasOptions, "replicas" | "durableCopies"> {
  /**
   * How long a reader may hold up publishers, or a gap may last, before it is reported as an event. Default 1 second.
   */
  readonly stallAfter?: Duration.Input | undefined
}

export const layer = (options: Options = {}): Layer.Layer<Sequencer, RegionError, NativeRegion> =>
  Layer.effect(
    Sequencer,
    Effect.flatMap(NativeRegion, (region) =>
      Effect.flatMap(
        startedInTime(region, options, startSequencer(region, options, 0)),
        (sequencer) => runSequencer(region, options, sequencer)
      ))
  )

/**
 * Starts the sequencer, which is stopped with the scope. `suspected`: the epoch of a server that lives but does not run;
 * 0 suspects none.
 */
export const startSequencer = (
  { handle, info }: Region,
  options: Options,
  suspected: number
): Effect.Effect<SequencerHandle, RegionError, Scope.Scope> =>
  Effect.flatMap(sequencerTimes(info.name, options), ({ epochMicros, leaseMillis }) => {
    const isManual = options.drive === "manual"
    const ignoresOrder = options.unsafeIgnoreSessionOrder === true
    const { durableCopies = 0, replicas = [] } = options
    return Effect.acquireRelease(
      attemptPromise(
        info.name,
        () =>
          handle.startSequencer(
            epochMicros,
            isManual,
            ignoresOrder,
            leaseMillis,
            suspected,
            durableCopies,
            replicas.length
          )
      ),
      (started) => Effect.sync(() => started.stop(options.keep === true))
    )
  })

/** The service over a sequencer that runs. */
export const runSequencer = (
  { handle, info }: Region,
  options: Options,
  sequencer: SequencerHandle
): Effect.Effect<Sequencer["Service"], RegionError, Scope.Scope> =>
  Effect.gen(function*() {
    const { stallMillis } = yield* sequencerTimes(info.name, options)
    const events = yield* PubSub.sliding<SequencerEvent>(eventsKept)
    const deposed = yield* Deferred.make<never, Deposed>()
    const tellDeposed = (by: NamedProcess | undefined) => {
      const { epoch } = sequencer.counters()
      const lost = new Deposed({ region: info.name, epoch, ...by === undefined ? {} : { by } })
      return Effect.andThen(PubSub.publish(events, { _tag: "Deposed", epoch, by }), Deferred.fail(deposed, lost))
    }
    yield* Effect.forkScoped(
      watching(new SequencerEvents(handle, sequencer, stallMillis), sequencer, events, tellDeposed)
    )
    const counters = Effect.sync(() => sequencer.counters())
    const begun = takenOver(sequencer)
    return Sequencer.of({
      epoch: sequencer.counters().epoch,
      status: Effect.map(counters, statusOf),
      step: Effect.sync(() => sequencer.step()),
      pause: Effect.sync(() => sequencer.pause()),
      resume: Effect.sync(() => sequencer.resume()),
      lost: Deferred.await(deposed),
      events: begun === undefined ? Stream.fromPubSub(events) : after(begun, events)
    })
  })

// --- internal ---

type Region = NativeRegion["Service"]

const eventsKept = 1024

/** How often to look for dead processes: well below the second within which their lanes and gates must be freed. */
const watchMillis = 100

const watching = (
  watch: SequencerEvents,
  sequencer: SequencerHandle,
  events: PubSub.PubSub<SequencerEvent>,
  tellDeposed: (by: NamedProcess | undefined) => Effect.Effect<unknown>
) =>
  Effect.gen(function*() {
    while (!sequencer.counters().deposed) {
      const seen = watch.look()
      if (seen.length > 0) yield* PubSub.publishAll(events, seen)
      yield* Effect.sleep(watchMillis)
    }
    const by = sequencer.deposed()
    yield* tellDeposed(by === undefined ? undefined : named(by))
    // Gives the block back once the sequencer's thread has ended.
    while (true) {
      sequencer.endDead()
      yield* Effect.sleep(watchMillis)
    }
  })

const after = (begun: SequencerEvent, events: PubSub.PubSub<SequencerEvent>): Stream.Stream<SequencerEvent> =>
  Stream.unwrap(
    Effect.map(
      PubSub.subscribe(events),
      (subscription) => Stream.concat(Stream.succeed(begun), Stream.fromSubscription(subscription))
    )
  )

const takenOver = (sequencer: SequencerHandle): TakenOver | undefined => {
  const recovery: NativeRecovery = sequencer.recovery()
  if (recovery.epoch === 0) return undefined
  return {
    _tag: "TakenOver",
    epoch: sequencer.counters().epoch,
    former: named(recovery),
    records: recovery.messages,
    keptBatches: recovery.batches,
    openSessions: recovery.sessions,
    recoveryMillis: recovery.micros / 1000
  }
}

const named = (found: ProcessId & { readonly name: string }): NamedProcess | undefined =>
  found.pid === 0 ? undefined : { ...processIdOf(found), name: found.name }

const statusOf = (counters: NativeCounters): SequencerStatus => ({
  epoch: counters.epoch,
  state: stateOf(counters),
  passes: counters.passes,
  commits: counters.commits,
  batches: counters.batches,
  messages: counters.messages,
  duplicates: counters.duplicates,
  purged: counters.purged,
  held: counters.held
})

const stateOf = ({ deposed, paused, stopped }: NativeCounters): SequencerStatus["state"] => {
  if (deposed) return "deposed"
  return stopped ? "stopped" : paused ? "paused" : "serving"
}
