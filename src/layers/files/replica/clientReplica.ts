/**
 * A replica that a process of its own writes, as a client of the log: it lives and dies apart from the server and from the
 * other replicas, and goes on over a takeover as every client does.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import { Replica, type ReplicaEvent } from "../../../services/Replica.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import { ReplicatedLog } from "../../ports/ReplicatedLog.ts"
import { endOf } from "./ending.ts"
import { lapping } from "./lapping.ts"
import { Member } from "./Member.ts"
import { ReplicaDisk } from "./ReplicaDisk.ts"
import { type ReplicaClientOptions, resolveReplicaClient } from "./replicaOptions.ts"
import { makeRunning } from "./running.ts"
import type { WritingError } from "./runReplica.ts"

export interface Options extends ReplicaClientOptions {
  /** The region whose log is replicated, which no other region ever is. */
  readonly regionId: string
  /** How often it may look for new topics. */
  readonly lookMillis: number
}

/** Ready once the directory is open for writing. Fails if another process writes it, or it holds another log. */
export const layerClientReplica = (
  options: Options
): Layer.Layer<Replica, RegionError | WritingError, ReplicatedLog | ReplicaDisk> =>
  Layer.effect(
    Replica,
    Effect.gen(function*() {
      const log = yield* ReplicatedLog
      const { disk, lock } = yield* ReplicaDisk
      const { peers, replica, required } = yield* resolveReplicaClient(log.region, options)
      const { lookMillis, regionId } = options
      const events = yield* PubSub.sliding<ReplicaEvent>(eventsKept)
      const member = new Member(replica, peers, (event) => void PubSub.publishUnsafe(events, event))
      const running = makeRunning({ log, regionId, disk, lock, required, lookMillis }, [member])
      yield* Effect.addFinalizer(() => running.end)
      yield* running.startOpened
      yield* Effect.forkScoped(lapping({ disk, log }, member))
      return Replica.of({
        required,
        states: Effect.sync(() => [member.state(log.topics())]),
        events: Stream.fromPubSub(events),
        ended: endOf(log, running.end)
      })
    })
  )

// --- internal ---

const eventsKept = 256
