/**
 * A child of a log trial: writes a replica of the log. Ready once it follows the log in all topics.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as CxlMemory from "../../layers/CxlMemory.ts"
import { GivenDisk, type ReplicaDisk } from "../../layers/files/replica/ReplicaDisk.ts"
import * as Log from "../../layers/Log.ts"
import { nativeFileLock } from "../../layers/native/region/FileLock.ts"
import { nodeDisk } from "../../layers/node/NodeDisk.ts"
import type { DiskFile } from "../../layers/ports/Disk.ts"
import { Replica, type ReplicaCondition } from "../../services/Replica.ts"
import { monotonicMillis } from "../measure/monotonic-clock.ts"
import { type Parent, runChild } from "../processes/child.ts"
import { type ReplicaJob, type ReplicaResult, ReplicaUnwell, type SyncTime, TrialReplica } from "./replicas.ts"

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

const writing = (parent: Parent<ReplicaResult>, syncTimes: ReadonlyArray<SyncTime>) =>
  Effect.gen(function*() {
    const { states } = yield* Replica
    yield* Effect.raceFirst(watching(parent), parent.end)
    for (const { syncedBytes, syncs } of yield* states) yield* parent.result({ syncs, syncedBytes, syncTimes })
  })

/** This machine's disk, which notes how long each sync of a file takes. */
const timedDisk = (note: (time: SyncTime) => void): ReplicaDisk["Service"] => ({
  lock: nativeFileLock,
  disk: { ...nodeDisk, open: (path, mode) => Effect.map(nodeDisk.open(path, mode), (file) => timed(file, note)) }
})

const timed = (file: DiskFile, note: (time: SyncTime) => void): DiskFile => ({
  ...file,
  sync: Effect.suspend(() => {
    const began = monotonicMillis()
    return Effect.map(file.sync, () => {
      const endedMillis = monotonicMillis()
      const { system, user } = process.cpuUsage()
      note({ endedMillis, micros: (endedMillis - began) * 1000, processorMicros: system + user })
    })
  })
})

const layerOf = ({ keepsBytes, name, region, timesSyncs, ...options }: ReplicaJob, syncTimes: Array<SyncTime>) =>
  Log.layerReplica({ ...options, retention: { bytes: keepsBytes } }).pipe(
    Layer.provide(CxlMemory.layerAttach({ region, processName: name })),
    timesSyncs === true
      ? Layer.provide(Layer.succeed(GivenDisk, timedDisk((time) => void syncTimes.push(time))))
      : (layer) => layer
  )

runChild(TrialReplica, (job, parent) =>
  Effect.suspend(() => {
    const syncTimes: Array<SyncTime> = []
    return Effect.provide(writing(parent, syncTimes), layerOf(job, syncTimes))
  }))
