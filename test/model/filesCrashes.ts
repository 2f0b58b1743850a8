/**
 * Lives of a process that writes a replica on a disk that crashes, and what must hold in each: what was reported as
 * durable is there, what is there is right, and the files can always be opened.
 */
import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { openReplicaFiles } from "../../src/layers/files/openReplicaFiles.ts"
import { readReplicaFiles } from "../../src/layers/files/readReplicaFiles.ts"
import type { ReplicaFiles, TopicFiles } from "../../src/layers/files/ReplicaFiles.ts"
import { ProcessEnded, SimulatedDisk } from "../../src/layers/memory/files/SimulatedDisk.ts"
import type { Disk, DiskOperation } from "../../src/layers/ports/Disk.ts"
import { type Random, randomOf } from "./choices.ts"
import { declared, freeLock, KnownLog, readKnown } from "./filesLog.ts"

const dir = "/data/replica"
const topicName = "orders"

/** What the test has been told by the files, over all lives. */
interface Told {
  synced: number
  appended: number
}

export interface CrashRun {
  readonly crashes: number
  readonly commits: number
  readonly failures: number
  readonly read: number
  /** Writes ahead of a commit. */
  readonly ahead: number
}

/** Runs lives until the disk has crashed so often. Throws what does not hold, with the seed and the crash. */
export const runCrashes = (
  seed: number,
  crashes: number,
  behind: (disk: SimulatedDisk) => Disk = (disk) => disk
): CrashRun => {
  const random = randomOf(seed)
  const disk = new SimulatedDisk({ random: () => random(2 ** 20) / 2 ** 20 })
  Effect.runSync(Effect.andThen(disk.makeDirectory("/data"), disk.syncDirectory("")))
  const world = new CrashWorld(disk, behind(disk), random)
  for (let crash = 0; crash < crashes; crash += 1) {
    try {
      world.live()
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error)
      throw new Error(`seed ${seed}, crash ${crash}: ${detail}`, { cause: error })
    }
  }
  return { crashes, ...world.counts }
}

// --- internal ---

const codes: Partial<Record<DiskOperation, ReadonlyArray<string>>> = {
  write: ["ENOSPC", "EIO"],
  sync: ["EIO"],
  "sync directory": ["EIO"],
  rename: ["EIO"],
  open: ["EMFILE"],
  truncate: ["EIO"],
  remove: ["EIO"]
}

class CrashWorld {
  readonly counts = { commits: 0, failures: 0, read: 0, ahead: 0 }
  readonly #disk: SimulatedDisk
  readonly #seenDisk: Disk
  readonly #random: Random
  readonly #log = new KnownLog()
  readonly #told: Told = { synced: 0, appended: 0 }
  #duringSync: Effect.Effect<void> | undefined

  constructor(disk: SimulatedDisk, seenDisk: Disk, random: Random) {
    this.#disk = disk
    this.#seenDisk = {
      ...operationsOf(seenDisk),
      open: (path, mode) =>
        Effect.map(seenDisk.open(path, mode), (file) => ({ ...file, sync: Effect.andThen(this.#meanwhile, file.sync) }))
    }
    this.#random = random
  }

  /** What the process does while a sync goes on, once. */
  get #meanwhile(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const during = this.#duringSync
      this.#duringSync = undefined
      return during ?? Effect.void
    })
  }

  /** One process, from its start to its end, and the crash after it. */
  live(): void {
    const isFailing = this.#random(3) === 0
    const fails = this.#plan(isFailing)
    const exit = Effect.runSyncExit(Effect.scoped(Effect.flatMap(this.#open, (files) => this.#write(files))))
    this.#disk.fate = () => undefined
    if (Exit.isFailure(exit)) this.#judge(exit.cause, fails())
    if (this.#random(2) === 0) this.#disk.losePower()
    else this.#disk.endProcess()
  }

  /** Decides which operation ends the process, and which fail. Returns whether one failed. */
  #plan(isFailing: boolean): () => boolean {
    // Short lives crash while they open the files, long ones while they write.
    let left = this.#random(this.#random(2) === 0 ? 50 : 200)
    let failed = false
    this.#disk.fate = (op) => {
      left -= 1
      if (left === 0) return "crash"
      const possible = codes[op]
      if (!isFailing || possible === undefined || this.#random(12) > 0) return undefined
      failed = true
      this.counts.failures += 1
      return possible[this.#random(possible.length)]
    }
    return () => failed
  }

  readonly #open = openFiles(() => this.#seenDisk)

  #write(files: ReplicaFiles): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function*() {
      const topic = yield* files.topic(topicName, declared)
      yield* this.#check(topic)
      // Some lives only read: what they report must be durable too.
      for (let step = this.#random(4) === 0 ? 0 : this.#random(40); step > 0; step -= 1) yield* this.#step(topic)
    })
  }

  /** What the files hold when they were opened. */
  #check(topic: TopicFiles): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function*() {
      const synced = topic.synced()
      assert.isAtLeast(synced.index, this.#told.synced, "batches that were reported as durable are lost")
      assert.isAtMost(synced.index, this.#told.appended, "there are batches that nobody wrote")
      assert.deepStrictEqual(topic.end(), synced)
      assert.strictEqual(synced.position, this.#log.at(synced.index).position)
      assert.deepStrictEqual(new Map(topic.syncedIdentities()), this.#log.identitiesAt(synced.index))
      assert.strictEqual(yield* readKnown(topic, this.#log, topic.start().position), synced.index)
      this.#told.synced = synced.index
      this.#told.appended = synced.index
      this.counts.read += synced.index - topic.start().index
    })
  }

  /** Appends some batches, and has them written ahead of their commit now and then. */
  #append(topic: TopicFiles): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      for (let count = 1 + this.#random(6); count > 0; count -= 1) {
        if (!topic.append(this.#log.at(topic.end().index))) break
        this.#told.appended = Math.max(this.#told.appended, topic.end().index)
        if (this.#random(4) === 0 && (yield* topic.writeAhead) > 0) this.counts.ahead += 1
      }
    })
  }

  #step(topic: TopicFiles): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function*() {
      yield* this.#append(topic)
      // The next group is begun while this one is synced.
      this.#duringSync = this.#random(2) === 0 ? Effect.suspend(() => this.#append(topic)) : undefined
      const committed = yield* Effect.exit(topic.commit)
      if (Exit.isSuccess(committed)) {
        this.#told.synced = committed.value.index
        this.counts.commits += 1
      } else if (Cause.hasDies(committed.cause)) yield* committed
      this.#duringSync = undefined
      if (this.#random(8) === 0) yield* Effect.ignore(topic.retain(0))
      if (this.#random(20) === 0) yield* this.#lookFromOutside(topic)
    })
  }

  /** Another process reads meanwhile. */
  #lookFromOutside(topic: TopicFiles): Effect.Effect<void, unknown> {
    return Effect.gen({ self: this }, function*() {
      const outside = (yield* readReplicaFiles(this.#seenDisk, dir)).topics.get(topicName)!
      const { start } = yield* outside.bounds
      const end = yield* readKnown(outside, this.#log, start.position)
      assert.isAtLeast(end, topic.synced().index)
      assert.isAtMost(end, this.#told.appended)
    }).pipe(Effect.catchIf((error) => (error as { _tag?: string })._tag === "DiskError", () => Effect.void))
  }

  /** A process may end by the crash, or by a failure of the disk that was planned; by nothing else. */
  #judge(cause: Cause.Cause<unknown>, failed: boolean): void {
    const error = Cause.squash(cause)
    if (error instanceof ProcessEnded) return
    const isDisk = typeof error === "object" && error !== null && (error as { _tag?: string })._tag === "DiskError"
    if (!(isDisk && failed)) throw error
  }
}

const operationsOf = ({ list, makeDirectory, open, remove, rename, syncDirectory }: Disk): Disk => ({
  list,
  makeDirectory,
  open,
  remove,
  rename,
  syncDirectory
})

const openFiles = (disk: () => Disk) =>
  Effect.suspend(() =>
    openReplicaFiles(disk(), freeLock, dir, {
      logId: "log",
      segmentBytes: 2500,
      stagingBytes: 1500,
      retention: { bytes: 7_000 }
    })
  )
