/**
 * Restores a log whose memory is gone from the files of a replica: each topic goes on at the end of its files, each
 * identity where its records end there.
 *
 *     lock ─► refuse what is not in sync ─► declare topics and identities at their ends ─► begin a term in the manifest
 *
 * Until the manifest names the new region it is still a replica of the lost one, so that a restore which is cut short is
 * begun again.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { RegionError } from "../../../services/schema/RegionError.ts"
import type { Order, TopicError } from "../../../services/schema/Topic.ts"
import * as Topic from "../../../services/schema/Topic.ts"
import { formatCount } from "../../../services/text/quantities.ts"
import type { Disk } from "../../ports/Disk.ts"
import type { FileLock } from "../../ports/FileLock.ts"
import type { ReplicatedLog, StoredCursor } from "../../ports/ReplicatedLog.ts"
import { openReplicaFiles } from "../openReplicaFiles.ts"
import type { ReplicaOpenError, ReplicaReadError } from "../ReplicaError.ts"
import type { ReplicaFiles, TopicFiles } from "../ReplicaFiles.ts"
import { manifestIn, openRepaired, storedByPeers } from "./openMember.ts"
import type { Restored, RestoredTopic } from "./replicaOptions.ts"

export interface Restoring {
  readonly log: ReplicatedLog["Service"]
  /** The region that was created for it. */
  readonly regionId: string
  readonly disk: Disk
  readonly lock: FileLock
  /** The directory to restore from. */
  readonly dir: string
  /** The other replicas of the server: those of the same log that are not further go on with it. */
  readonly others: ReadonlyArray<string>
}

/** For a region in which no topic of the files is declared. */
export const restore = (restoring: Restoring): Effect.Effect<Restored, RegionError | TopicError> => {
  const { dir, log } = restoring
  const refuse = (detail: string, hint: string) =>
    Effect.fail(new RegionError({ fault: "invalid", region: log.region, detail, hint }))
  const whole = "name the directory that `serve --replica` was given, or another replica of the log"
  return Effect.scoped(restoringOpen(restoring, refuse)).pipe(
    Effect.catchTags({
      ReplicaBusy: ({ message }) => refuse(`it cannot be restored: ${message}`, "end that process first"),
      ReplicaDamaged: ({ message }) =>
        refuse(`it cannot be restored: ${message}`, "name another replica too, with --replica"),
      ReplicaForeign: ({ message }) => refuse(`it cannot be restored: ${message}`, whole),
      ReplicaMissing: () => refuse(`it cannot be restored: ${dir} holds no replica`, whole),
      DiskError: ({ message }) => refuse(`it cannot be restored from ${dir}: ${message}`, "")
    })
  )
}

// --- internal ---

type Refuse = (detail: string, hint: string) => Effect.Effect<never, RegionError>

const restoringOpen = (
  restoring: Restoring,
  refuse: Refuse
): Effect.Effect<Restored, RegionError | TopicError | ReplicaOpenError, Scope.Scope> =>
  Effect.gen(function*() {
    const { dir, disk, lock, log, others, regionId } = restoring
    const files = yield* openReplicaFiles(disk, lock, dir, { logId: undefined })
    const { inSync, term, topics } = files.manifest()
    if (!inSync) {
      return yield* refuse(
        `it cannot be restored from ${dir}: its files were not in sync, and lack records that were acknowledged`,
        "restore from another replica of the log"
      )
    }
    const opened = yield* Effect.forEach(Object.entries(topics), ([name, declared]) =>
      Effect.map(
        Effect.flatMap(storedByPeers(disk, others, name), (stored) => openRepaired(files, name, declared, stored)),
        (topicFiles) => ({
          topic: Topic.make(name, { order: declared.order as Order, ack: "durable" }),
          files: topicFiles
        })
      ))
    const joining = yield* Effect.forEach(others, (other) => openJoining(restoring, files, other))
    for (const other of joining.flat()) yield* refuseFurther(other, opened, refuse)
    const restored = yield* Effect.forEach(opened, (topic) =>
      Effect.flatMap(
        storedCursors(topic, joining.flat()),
        (cursors) => restoreTopic(log, topic.topic, topic.files, cursors)
      ))
    const from = Object.fromEntries(restored.map(({ records, topic }) => [topic, records]))
    for (const { files: other } of joining.flat()) yield* other.setTerm(term.number + 1, from, regionId)
    yield* files.setTerm(term.number + 1, from, regionId)
    return { dir, term: term.number + 1, topics: restored }
  })

/** Another replica of the log in the region that is lost; none if the directory is empty, or another log's. */
const openJoining = ({ disk, lock }: Restoring, source: ReplicaFiles, dir: string) =>
  Effect.gen(function*() {
    const manifest = yield* manifestIn(disk, dir)
    if (manifest === undefined || manifest.term.region !== source.manifest().term.region) return []
    return [{ dir, files: yield* openReplicaFiles(disk, lock, dir, { logId: manifest.logId }) }]
  })

interface Opened {
  readonly topic: Topic.Topic
  readonly files: TopicFiles
}

// What is further was acknowledged perhaps, and its positions would be given to other records.
const refuseFurther = (
  { dir, files }: { readonly dir: string; readonly files: ReplicaFiles },
  opened: ReadonlyArray<Opened>,
  refuse: Refuse
): Effect.Effect<void, RegionError | ReplicaReadError> =>
  Effect.gen(function*() {
    for (const [name, declared] of Object.entries(files.manifest().topics)) {
      const there = (yield* files.topic(name, declared)).synced()
      const here = opened.find(({ topic }) => topic.name === name)?.files.synced().position ?? 0
      if (there.position <= here) continue
      return yield* refuse(
        `the replica in ${dir} has ${
          formatCount(there.position)
        } records of topic "${name}", and the one to restore from ${formatCount(here)}`,
        `restore from ${dir}`
      )
    }
  })

/**
 * The cursors of a topic. A durable commit may be in the files of another replica alone, if not all of them are required:
 * of each cursor the one that is furthest. It counts no records as handled that the restored topic does not have.
 */
const storedCursors = (
  { files, topic }: Opened,
  joining: ReadonlyArray<{ readonly files: ReplicaFiles }>
): Effect.Effect<ReadonlyArray<StoredCursor>, ReplicaReadError> =>
  Effect.gen(function*() {
    const end = files.synced().position
    const found = new Map<string, StoredCursor>()
    const add = (cursor: StoredCursor): void => {
      const other = found.get(cursor.name)
      if (other === undefined || other.position < cursor.position) found.set(cursor.name, cursor)
    }
    files.cursors().forEach(add)
    for (const { files: other } of joining) {
      const declared = other.manifest().topics[topic.name]
      if (declared !== undefined) (yield* other.topic(topic.name, declared)).cursors().forEach(add)
    }
    return [...found.values()].map((cursor) => ({ ...cursor, position: Math.min(cursor.position, end) }))
  })

const restoreTopic = (
  log: ReplicatedLog["Service"],
  topic: Topic.Topic,
  files: TopicFiles,
  cursors: ReadonlyArray<StoredCursor>
): Effect.Effect<RestoredTopic, RegionError | TopicError | ReplicaReadError> =>
  Effect.gen(function*() {
    const { index, position } = files.synced()
    const orderedMillis = yield* lastOrderedMillis(files, position)
    yield* log.restoreTopic(topic, { batches: index, records: position, orderedMillis })
    const identities = files.syncedIdentities()
    for (const [name, { committed }] of identities) yield* log.restoreIdentity(topic, name, committed)
    const nowMillis = yield* Clock.currentTimeMillis
    const present = cursors.filter(({ expiresMillis, touchedMillis }) => nowMillis <= touchedMillis + expiresMillis)
    for (const cursor of present) yield* log.restoreCursor(topic, cursor, nowMillis)
    return { topic: topic.name, records: position, identities: identities.size, cursors: present.length }
  })

/** When the last record of the files was ordered. */
const lastOrderedMillis = (files: TopicFiles, end: number): Effect.Effect<number | undefined, ReplicaReadError> =>
  end === 0 ? Effect.succeed(undefined) : Effect.scoped(Effect.gen(function*() {
    const reader = yield* files.read(end - 1)
    return (yield* reader.pull).at(-1)?.orderedMillis
  })).pipe(Effect.catchTag("PositionTrimmed", () => Effect.succeed(undefined)))
