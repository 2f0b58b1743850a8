/**
 * Repairs a replica's directory, which no process writes meanwhile, from those of other replicas of its log.
 */
import * as Effect from "effect/Effect"
import type { Disk, DiskError } from "../ports/Disk.ts"
import type { FileLock } from "../ports/FileLock.ts"
import type { StoredCursor } from "../ports/ReplicatedLog.ts"
import { readCursors, writeCursors } from "./cursorsFile.ts"
import { openReplicaFiles } from "./openReplicaFiles.ts"
import { readReplicaFiles } from "./readReplicaFiles.ts"
import { type ReplicaDamaged, ReplicaForeign, type ReplicaOpenError, type ReplicaReadError } from "./ReplicaError.ts"
import type { Repaired, ReplicaFiles } from "./ReplicaFiles.ts"
import { topicDir } from "./segment/names.ts"
import { verify } from "./verify.ts"

/** What was repaired of a topic. */
export interface RepairedTopic extends Repaired {
  readonly topic: string
  /** Cursors that were written again; `undefined` where their file is whole. */
  readonly cursors: number | undefined
}

export interface RepairReport {
  readonly dir: string
  /** The topics of which anything was damaged. */
  readonly topics: ReadonlyArray<RepairedTopic>
}

/**
 * Writes what is damaged again, with the batches of the first of `peers` that has them. Fails with `ReplicaDamaged` where none
 * has: what was repaired before stays so. A directory that another process writes is refused.
 */
export const repairReplica = (
  disk: Disk,
  lock: FileLock,
  dir: string,
  peers: ReadonlyArray<string>
): Effect.Effect<RepairReport, ReplicaOpenError> =>
  Effect.scoped(Effect.gen(function*() {
    const files = yield* openReplicaFiles(disk, lock, dir, { logId: undefined })
    const { region } = files.manifest().term
    const sources = yield* Effect.forEach(peers, (peer) => readReplicaFiles(disk, peer))
    // One that was not named at a restore may have given these positions to other records.
    for (const { dir, manifest } of sources) {
      const found = manifest.term.region
      if (found !== region) return yield* new ReplicaForeign({ dir, wanted: region, found })
    }
    const { topics } = yield* verify(disk, dir)
    const repaired: Array<RepairedTopic> = []
    for (const report of topics) {
      const { topic } = report
      const damage = report.segments.find(({ damage }) => damage !== undefined)?.damage
      const segments = damage === undefined
        ? nothing
        : yield* repairSegments(files, topic, damage, sources.flatMap(({ topics }) => topics.get(topic) ?? []))
      const cursors = report.cursorsDamage === undefined
        ? undefined
        : yield* repairCursors(disk, dir, report.cursorsDamage, topic, peers)
      if (damage !== undefined || cursors !== undefined) repaired.push({ topic, ...segments, cursors })
    }
    return { dir, topics: repaired }
  }))

// --- internal ---

const nothing: Repaired = { segments: 0, batches: 0, records: 0 }

type Source = Parameters<ReplicaFiles["repairFrom"]>[1]

const repairSegments = (
  files: ReplicaFiles,
  topic: string,
  damage: ReplicaDamaged,
  sources: ReadonlyArray<Source>
): Effect.Effect<Repaired, ReplicaReadError> => {
  const [source, ...others] = sources
  if (source === undefined) return Effect.fail(damage)
  return Effect.catchTag(
    files.repairFrom(topic, source),
    "ReplicaDamaged",
    (damage) => repairSegments(files, topic, damage, others)
  )
}

// No cursor may be further than the batches beside it: one that is comes back, and its records are handled again.
const repairCursors = (
  disk: Disk,
  dir: string,
  damage: ReplicaDamaged,
  topic: string,
  peers: ReadonlyArray<string>
): Effect.Effect<number, ReplicaReadError | DiskError> =>
  Effect.gen(function*() {
    const found = yield* Effect.forEach(peers, (peer) => Effect.option(readCursors(disk, topicDir(peer, topic))))
    const cursors = found.find(({ _tag }) => _tag === "Some")
    if (cursors?._tag !== "Some") return yield* damage
    const repaired = yield* verify(disk, dir)
    const end = repaired.topics.find((one) => one.topic === topic)?.segments.at(-1)?.end.position ?? 0
    const within: ReadonlyArray<StoredCursor> = cursors.value.map((cursor) => ({
      ...cursor,
      position: Math.min(cursor.position, end)
    }))
    yield* writeCursors(disk, topicDir(dir, topic), within)
    return within.length
  }).pipe(Effect.catchTag("ReplicaMissing", () => damage))
