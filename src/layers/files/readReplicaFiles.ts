/**
 * Opens a replica's directory for reading, beside the process that writes it or without one.
 */
import * as Effect from "effect/Effect"
import type { Disk } from "../ports/Disk.ts"
import { storedTopic, viewOfFiles } from "./makeStoredTopic.ts"
import { readManifest } from "./manifestFile.ts"
import { ReplicaMissing, type ReplicaReadError } from "./ReplicaError.ts"
import type { StoredFiles } from "./ReplicaFiles.ts"
import { topicDir } from "./segment/names.ts"

/**
 * What it reads is valid: it stops at the last commit block that it sees. The last group may not be durable yet: only the
 * process that writes it knows.
 */
export const readReplicaFiles = (
  disk: Disk,
  dir: string
): Effect.Effect<StoredFiles, ReplicaMissing | ReplicaReadError> =>
  Effect.gen(function*() {
    const manifest = yield* readManifest(disk, dir)
    if (manifest === undefined) return yield* new ReplicaMissing({ dir })
    const topics = new Map(
      Object.entries(manifest.topics).map(([topic, declared]) => {
        const place = { disk, dir: topicDir(dir, topic), logId: manifest.logId, topic }
        return [topic, storedTopic({ ...place, ...declared }, viewOfFiles(place))]
      })
    )
    return { dir, manifest, topics }
  })
