/**
 * Runs the replicas of one server: from the time that it serves the log until all that it has ordered is on their disks.
 *
 * It is made before the server's sequencer and ends after it, so that the last batches that the sequencer orders are
 * written too.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import { Replica, type ReplicaEvent } from "../../../services/Replica.ts"
import { RegionError } from "../../../services/schema/RegionError.ts"
import type { TopicError } from "../../../services/schema/Topic.ts"
import { Sequencer, type SequencerEvent } from "../../../services/Sequencer.ts"
import type { Disk } from "../../ports/Disk.ts"
import { ReplicatedLog } from "../../ports/ReplicatedLog.ts"
import { ReplicaForeign } from "../ReplicaError.ts"
import { endOf } from "./ending.ts"
import { lapStalled } from "./lapping.ts"
import { Member } from "./Member.ts"
import { manifestIn } from "./openMember.ts"
import { ReplicaDisk } from "./ReplicaDisk.ts"
import { type ReplicasOptions, resolveReplicas, type RestoreOptions } from "./replicaOptions.ts"
import { restore } from "./restore.ts"
import { makeRunning } from "./running.ts"

export interface HostOptions extends ReplicasOptions, RestoreOptions {
  /** The region whose log is replicated, which no other region ever is. */
  readonly regionId: string
  /** How often a replica may look for new topics. */
  readonly lookMillis: number
}

export class ReplicaHost extends Context.Service<ReplicaHost, {
  readonly replica: Replica["Service"]
  /** Begins to write. Only a process that serves the log may. */
  readonly start: Effect.Effect<void>
  /** Ends at once, as a process does that is killed: nothing more is written, the directories are free. */
  readonly kill: Effect.Effect<void>
  /** A reader holds up publishers. If it is a replica's, it is detached once another replica is ahead. */
  readonly stalled: (topic: string, reader: string) => Effect.Effect<void>
}>()("ringfence/layers/ReplicaHost") {}

export const layerHost = (
  options: HostOptions
): Layer.Layer<ReplicaHost, RegionError | TopicError, ReplicatedLog | ReplicaDisk> =>
  Layer.effect(
    ReplicaHost,
    Effect.gen(function*() {
      const log = yield* ReplicatedLog
      const { disk, lock } = yield* ReplicaDisk
      const { replicas, required } = yield* resolveReplicas(log.region, options)
      const { lookMillis, onRestored, regionId, restore: dir } = options
      if (dir !== undefined) {
        const others = replicas.map((replica) => replica.dir).filter((other) => other !== dir)
        const restored = yield* restore({ log, regionId, disk, lock, dir, others })
        yield* onRestored?.(restored) ?? Effect.void
      }
      yield* Effect.forEach(replicas, ({ dir }) => refuseForeign(disk, dir, log.region, regionId), { discard: true })
      const events = yield* PubSub.sliding<ReplicaEvent>(eventsKept)
      const tell = (event: ReplicaEvent) => void PubSub.publishUnsafe(events, event)
      const dirs = replicas.map(({ dir }) => dir)
      const members = replicas.map((replica) => new Member(replica, dirs.filter((dir) => dir !== replica.dir), tell))
      const share = { log, regionId, disk, lock, required, lookMillis }
      const running = makeRunning(share, members)
      yield* Effect.addFinalizer(() => running.end)
      return ReplicaHost.of({
        replica: Replica.of({
          required,
          states: Effect.sync(() => {
            const topics = log.topics()
            return members.map((member) => member.state(topics))
          }),
          events: Stream.fromPubSub(events),
          ended: endOf(log, running.end)
        }),
        start: running.start,
        kill: running.kill,
        stalled: (topic, reader) => lapStalled(log, members, topic, reader)
      })
    })
  )

/** The service, in a process that serves the log. */
export const layerReplica: Layer.Layer<Replica, never, ReplicaHost | Sequencer> = Layer.effect(
  Replica,
  Effect.gen(function*() {
    const { replica, stalled, start } = yield* ReplicaHost
    const { events } = yield* Sequencer
    const scope = yield* Effect.scope
    const follow = (event: SequencerEvent) =>
      event._tag === "ReaderStalled" ? Effect.forkIn(stalled(event.topic, event.reader), scope) : Effect.void
    yield* Effect.forkScoped(Stream.runForEach(events, follow), { startImmediately: true })
    yield* start
    return replica
  })
)

// --- internal ---

const eventsKept = 256

// A server that names the wrong directory is told at once. One that cannot be read is told as the replica's condition, so
// that a failing disk keeps no log from being served.
const refuseForeign = (
  disk: Disk,
  dir: string,
  region: string,
  regionId: string
): Effect.Effect<void, RegionError> =>
  Effect.flatMap(Effect.option(manifestIn(disk, dir)), (found) => {
    const term = found._tag === "Some" ? found.value?.term : undefined
    if (term === undefined || term.region === regionId) return Effect.void
    const { message } = new ReplicaForeign({ dir, wanted: regionId, found: term.region })
    return Effect.fail(new RegionError({ fault: "invalid", region, detail: message, hint: "" }))
  })
