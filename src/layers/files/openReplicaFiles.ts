/**
 * Opens a replica's directory for the one process that writes it, under its lock.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { randomUUID } from "node:crypto"
import type { Disk, DiskError } from "../ports/Disk.ts"
import type { FileLock } from "../ports/FileLock.ts"
import { type DeclaredTopic, storedTopic } from "./makeStoredTopic.ts"
import { readManifest, writeManifest } from "./manifestFile.ts"
import { repairTopic } from "./repair.ts"
import {
  ReplicaBusy,
  ReplicaDamaged,
  ReplicaForeign,
  ReplicaMissing,
  type ReplicaOpenError,
  type ReplicaReadError
} from "./ReplicaError.ts"
import type { ReplicaFiles, ReplicaFilesOptions, TopicBase, TopicFiles } from "./ReplicaFiles.ts"
import { type Manifest, manifestFormat } from "./ReplicaManifest.ts"
import { asideDir, asideName, join, lockName, manifestName, topicDir, topicsName } from "./segment/names.ts"
import { recover } from "./writer/recover.ts"
import { StagingBuffers } from "./writer/StagingBuffer.ts"
import { TopicWriter } from "./writer/TopicWriter.ts"

/** Opens the directory for writing; it is created if it is missing, its parent must exist. Closed with the scope. */
export const openReplicaFiles = (
  disk: Disk,
  lock: FileLock,
  dir: string,
  options: ReplicaFilesOptions
): Effect.Effect<ReplicaFiles, ReplicaOpenError, Scope.Scope> =>
  Effect.gen(function*() {
    if (options.logId !== undefined) yield* makeDirectory(disk, dir)
    else if ((yield* readManifest(disk, dir)) === undefined) return yield* new ReplicaMissing({ dir })
    yield* Effect.catchTag(
      lock.lock(join(dir, lockName)),
      "FileLockBusy",
      ({ pid }) => Effect.fail(new ReplicaBusy({ dir, ...pid === undefined ? {} : { pid } }))
    )
    const files = new OpenFiles(disk, dir, options, yield* manifestOf(disk, dir, options.logId))
    yield* Effect.addFinalizer(() => files.close)
    return files
  })

// --- internal ---

const mebibyte = 1024 * 1024
const segmentBytesDefault = 64 * mebibyte
const stagingBytesDefault = 8 * mebibyte

/** Creates the directory durably. Its name may be there from a process that was killed before it synced it. */
const makeDirectory = (disk: Disk, dir: string): Effect.Effect<void, DiskError> =>
  Effect.andThen(
    disk.makeDirectory(dir),
    // A parent that this user may pass but not read cannot be synced.
    Effect.catchIf(disk.syncDirectory(parentOf(dir)), ({ code }) => code === "EACCES", () => Effect.void)
  )

const parentOf = (dir: string): string => {
  const at = dir.replace(/\/+$/, "").lastIndexOf("/")
  return at < 0 ? "." : dir.slice(0, Math.max(at, 1))
}

/** The manifest that is there, or a new one, which is then durable. */
const manifestOf = (
  disk: Disk,
  dir: string,
  logId: string | undefined
): Effect.Effect<Manifest, ReplicaOpenError> =>
  Effect.gen(function*() {
    const found = yield* readManifest(disk, dir)
    if (found === undefined && logId === undefined) return yield* new ReplicaMissing({ dir })
    if (found === undefined) return yield* newManifest(disk, dir, logId!)
    if (logId !== undefined && found.logId !== logId) {
      return yield* new ReplicaForeign({ dir, wanted: logId, found: found.logId })
    }
    return found
  })

const newManifest = (disk: Disk, dir: string, logId: string): Effect.Effect<Manifest, ReplicaReadError> =>
  Effect.gen(function*() {
    if ((yield* disk.list(dir)).includes(topicsName)) {
      return yield* new ReplicaDamaged({
        file: join(dir, manifestName),
        offset: 0,
        detail: "it is missing, although there are topics",
        nextStep: "restore a copy of the file, or move the directory aside: the replica then begins again"
      })
    }
    const manifest: Manifest = {
      format: manifestFormat,
      logId,
      replicaId: randomUUID(),
      term: { number: 0, from: {}, region: logId },
      inSync: false,
      topics: {}
    }
    yield* writeManifest(disk, dir, manifest)
    return manifest
  })

class OpenFiles implements ReplicaFiles {
  readonly dir: string
  readonly #disk: Disk
  readonly #options: ReplicaFilesOptions
  readonly #buffers: StagingBuffers
  readonly #open = new Map<string, { readonly files: TopicFiles; readonly writer: TopicWriter }>()
  /** One change of the manifest, or of which topics are open, at a time. */
  readonly #turn = Semaphore.makeUnsafe(1)
  #manifest: Manifest

  constructor(disk: Disk, dir: string, options: ReplicaFilesOptions, manifest: Manifest) {
    this.dir = dir
    this.#disk = disk
    this.#options = options
    this.#manifest = manifest
    this.#buffers = new StagingBuffers(options.stagingBytes ?? stagingBytesDefault)
  }

  readonly manifest = (): Manifest => this.#manifest

  readonly setInSync = (inSync: boolean): Effect.Effect<void, DiskError> =>
    this.#alone(
      Effect.suspend(() => this.#manifest.inSync === inSync ? Effect.void : this.#change({ ...this.#manifest, inSync }))
    )

  readonly setTerm = (
    number: number,
    from: Readonly<Record<string, number>>,
    region: string
  ): Effect.Effect<void, DiskError> =>
    this.#alone(Effect.suspend(() => this.#change({ ...this.#manifest, term: { number, from: { ...from }, region } })))

  readonly topic = (
    name: string,
    declared: { readonly order: string; readonly ack: string },
    base: TopicBase = { index: 0, position: 0 }
  ): Effect.Effect<TopicFiles, ReplicaReadError> =>
    this.#alone(Effect.gen({ self: this }, function*() {
      const open = this.#open.get(name)
      if (open !== undefined) return open.files
      yield* this.#declare(name, declared)
      const place = this.#place(name)
      const writer = new TopicWriter({
        ...place,
        declared,
        replicaId: this.#manifest.replicaId,
        term: () => this.#manifest.term.number,
        segmentBytes: this.#options.segmentBytes ?? segmentBytesDefault,
        retention: this.#options.retention ?? {},
        buffers: this.#buffers
      }, yield* recover(place, base))
      // What must be written again is durable before anything is said of it.
      yield* Effect.onError(writer.commit, () => writer.close)
      const files = filesOf(writer, { ...place, ...declared })
      this.#open.set(name, { files, writer })
      return files
    }))

  readonly repairFrom: ReplicaFiles["repairFrom"] = (topic, peer) =>
    this.#alone(Effect.suspend(() => this.#closed(topic, repairTopic(this.#place(topic), this.#manifest, peer))))

  readonly setAside: ReplicaFiles["setAside"] = (topic) =>
    this.#alone(Effect.suspend(() => this.#closed(topic, this.#moveAside(topic))))

  get close(): Effect.Effect<void> {
    return Effect.forEach(this.#open.values(), ({ writer }) => writer.close, { discard: true })
  }

  #alone<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.uninterruptible(Semaphore.withPermit(this.#turn, effect))
  }

  /** Runs what changes a topic's files behind the back of its writer, which is closed first. */
  #closed<A, E>(topic: string, effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    const open = this.#open.get(topic)
    this.#open.delete(topic)
    return open === undefined ? effect : Effect.andThen(open.writer.close, effect)
  }

  #change(manifest: Manifest): Effect.Effect<void, DiskError> {
    return Effect.map(writeManifest(this.#disk, this.dir, manifest), () => {
      this.#manifest = manifest
    })
  }

  #place(topic: string) {
    return { disk: this.#disk, dir: topicDir(this.dir, topic), logId: this.#manifest.logId, topic }
  }

  /** Enters a new topic in the manifest, and creates its directory. */
  #declare(
    name: string,
    { ack, order }: { readonly order: string; readonly ack: string }
  ): Effect.Effect<void, ReplicaReadError> {
    return Effect.gen({ self: this }, function*() {
      const known = this.#manifest.topics[name]
      if (known !== undefined && (known.order !== order || known.ack !== ack)) {
        return yield* new ReplicaDamaged({
          file: join(this.dir, manifestName),
          offset: 0,
          detail:
            `topic "${name}" is declared there with order ${known.order} and ack ${known.ack}, and in the log with `
            + `order ${order} and ack ${ack}`,
          nextStep: "the log has another topic of that name by now: set the files of the former one aside"
        })
      }
      if (known === undefined) {
        yield* this.#change({ ...this.#manifest, topics: { ...this.#manifest.topics, [name]: { order, ack } } })
      }
      const topics = join(this.dir, topicsName)
      yield* this.#disk.makeDirectory(topics)
      yield* this.#disk.syncDirectory(this.dir)
      yield* this.#disk.makeDirectory(topicDir(this.dir, name))
      yield* this.#disk.syncDirectory(topics)
    })
  }

  #moveAside(topic: string): Effect.Effect<void, DiskError> {
    return Effect.gen({ self: this }, function*() {
      const aside = asideDir(this.dir)
      yield* this.#disk.makeDirectory(aside)
      yield* this.#disk.syncDirectory(this.dir)
      const taken = new Set(yield* this.#disk.list(aside))
      let number = 1
      while (taken.has(asideName(topic, number))) number += 1
      const { [topic]: _, ...others } = this.#manifest.topics
      // First the files, then the manifest: a crash between leaves a topic without files, which begins again too.
      yield* Effect.catchIf(
        this.#disk.rename(topicDir(this.dir, topic), join(aside, asideName(topic, number))),
        ({ code }) => code === "ENOENT",
        () => Effect.void
      )
      yield* this.#disk.syncDirectory(aside)
      yield* this.#disk.syncDirectory(join(this.dir, topicsName))
      yield* this.#change({ ...this.#manifest, topics: others })
    })
  }
}

const filesOf = (
  writer: TopicWriter,
  place: DeclaredTopic
): TopicFiles => ({
  ...storedTopic(place, {
    segments: Effect.sync(writer.segments),
    firstIndexes: Effect.sync(() => writer.segments().map(({ firstIndex }) => firstIndex)),
    limit: () => writer.synced().index,
    bounds: Effect.sync(() => ({ start: writer.start(), end: writer.synced() })),
    identities: Effect.sync(() => new Map(writer.syncedIdentities()))
  }),
  start: writer.start,
  synced: writer.synced,
  end: writer.end,
  stagedBytes: writer.stagedBytes,
  waitingBytes: writer.waitingBytes,
  unwrittenBytes: writer.unwrittenBytes,
  writeAhead: writer.writeAhead,
  syncedIdentities: writer.syncedIdentities,
  append: writer.append,
  commit: writer.commit,
  cursors: writer.cursors,
  setCursors: writer.setCursors,
  retain: writer.retain
})
