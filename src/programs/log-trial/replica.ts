/**
 * A child of a log trial: writes a replica of the log. Ready once it follows the log in all topics.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as CxlMemory from "../../layers/CxlMemory.ts"
import * as Log from "../../layers/Log.ts"
import { Replica, type ReplicaCondition } from "../../services/Replica.ts"
import { type Parent, runChild } from "../processes/child.ts"
import { type ReplicaJob, type ReplicaResult, ReplicaUnwell, TrialReplica } from "./replicas.ts"

interface Found {
  readonly dir: string
  readonly condition: ReplicaCondition
  readonly detail: string
}

const watching = (parent: Parent<ReplicaResult>) =>
  Effect.gen(function*() {
    const { events, states } = yield* Replica
    const look = ({ condition, detail, dir }: Found) => {
      if (condition === "in sync") return parent.ready
      const isUnwell = condition === "failing" || condition === "damaged"
      return isUnwell ? Effect.fail(new ReplicaUnwell({ dir, condition, detail })) : Effect.void
    }
    // The first look is at how it is once its events are heard.
    const now = Stream.fromIterableEffect(states)
    return yield* Stream.runForEach(Stream.merge(events, now), look).pipe(Effect.andThen(Effect.never))
  })

const writing = (parent: Parent<ReplicaResult>) =>
  Effect.gen(function*() {
    const { states } = yield* Replica
    yield* Effect.raceFirst(watching(parent), parent.end)
    for (const { syncedBytes, syncs } of yield* states) yield* parent.result({ syncs, syncedBytes })
  })

const layerOf = ({ name, region, ...options }: ReplicaJob) =>
  Log.layerReplica(options).pipe(
    Layer.provide(CxlMemory.layerAttach({ region, processName: name }))
  )

runChild(TrialReplica, (job, parent) => Effect.provide(writing(parent), layerOf(job)))
