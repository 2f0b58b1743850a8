/**
 * Replicas of the log of one heap: they are its server's, and die with it.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Replica } from "../../../services/Replica.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import type { TopicError } from "../../../services/schema/Topic.ts"
import type { Sequencer } from "../../../services/Sequencer.ts"
import { type ReplicaDisk } from "../../files/replica/ReplicaDisk.ts"
import { layerHost, layerReplica, ReplicaHost } from "../../files/replica/ReplicaHost.ts"
import type { ReplicasOptions, RestoreOptions } from "../../files/replica/replicaOptions.ts"
import { HeapLog } from "./HeapLog.ts"
import { layer as layerReplicatedLog } from "./ReplicatedLog.ts"

/** To be provided below the sequencer: what it orders at its end is written, too. */
export const layerReplicaHost = (
  options: ReplicasOptions & RestoreOptions
): Layer.Layer<ReplicaHost, RegionError | TopicError, HeapLog | ReplicaDisk> =>
  Layer.unwrap(
    // A look costs little here, and tests under `TestClock` must not wait for the next.
    Effect.map(HeapLog, ({ heap }) => layerHost({ ...options, regionId: heap.id, lookMillis: 0 }))
  ).pipe(Layer.provide(layerReplicatedLog))

export const layer: Layer.Layer<Replica, never, HeapLog | ReplicaHost | Sequencer> = Layer.merge(
  Layer.fresh(layerReplica),
  Layer.effectDiscard(
    Effect.gen(function*() {
      const { heap } = yield* HeapLog
      const host = yield* ReplicaHost
      yield* Effect.forkScoped(withServer(heap, host))
    })
  )
)

// --- internal ---

// They end when the server is killed, without a last word, and the next server's begin where the files end: also when this
// fiber runs only after both.
const withServer = (heap: HeapLog["Service"]["heap"], { kill, start }: ReplicaHost["Service"]) =>
  Effect.gen(function*() {
    let served: number | undefined = heap.epoch
    while (true) {
      const { round } = heap.members
      const present = heap.unservedMicros === undefined ? heap.epoch : undefined
      if (present === served) {
        yield* round.await
        continue
      }
      served = present
      yield* kill
      if (present !== undefined) yield* start
    }
  })
