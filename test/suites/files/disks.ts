/**
 * The disks that the suites of a replica's files run over: one in this heap, and the real one.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { openReplicaFiles } from "../../../src/layers/files/openReplicaFiles.ts"
import type { ReplicaOpenError } from "../../../src/layers/files/ReplicaError.ts"
import type { ReplicaFiles, ReplicaFilesOptions, TopicFiles } from "../../../src/layers/files/ReplicaFiles.ts"
import type { Disk } from "../../../src/layers/ports/Disk.ts"
import { declared, freeLock, type KnownLog } from "../../model/filesLog.ts"

/** A disk with an empty directory for a test. */
export interface TestDisk {
  readonly disk: Disk
  readonly dir: string
}

export interface DiskBackend {
  readonly name: string
  readonly make: Effect.Effect<TestDisk, never, Scope.Scope>
}

export const small: ReplicaFilesOptions = { logId: "log", segmentBytes: 3000, stagingBytes: 4000 }

export const openFiles = (
  { dir, disk }: TestDisk,
  options: Partial<ReplicaFilesOptions> = {}
): Effect.Effect<ReplicaFiles, ReplicaOpenError, Scope.Scope> =>
  openReplicaFiles(disk, freeLock, `${dir}/replica`, { ...small, ...options })

/** Uses a topic of freshly opened files, which are closed in good order afterwards. */
export const withTopic = <A, E>(
  disk: TestDisk,
  use: (topic: TopicFiles, files: ReplicaFiles) => Effect.Effect<A, E, Scope.Scope>,
  options: Partial<ReplicaFilesOptions> = {}
): Effect.Effect<A, E | ReplicaOpenError> =>
  Effect.scoped(Effect.gen(function*() {
    const files = yield* openFiles(disk, options)
    return yield* use(yield* files.topic("orders", declared), files)
  }))

/** Appends the log's batches up to an index, a group for each `size` of them. */
export const fill = (topic: TopicFiles, log: KnownLog, until: number, size = 4) =>
  Effect.gen(function*() {
    while (topic.end().index < until) {
      const group = Math.min(until, topic.end().index + size)
      while (topic.end().index < group) if (!topic.append(log.at(topic.end().index))) break
      yield* topic.commit
    }
  })

export const segmentsOf = ({ dir, disk }: TestDisk) =>
  Effect.map(disk.list(`${dir}/replica/topics/orders`), (names) => names.toSorted())
