/**
 * Blocks that are written ahead of their commit block: no reader takes them for written until then, in each order of the
 * disk's answers.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import { readReplicaFiles } from "../../../src/layers/files/readReplicaFiles.ts"
import type { ReplicaFiles, TopicFiles } from "../../../src/layers/files/ReplicaFiles.ts"
import { openSegment } from "../../../src/layers/files/segment/openSegment.ts"
import { damageOf, verify } from "../../../src/layers/files/verify.ts"
import { type Disk, DiskError, type DiskFile } from "../../../src/layers/ports/Disk.ts"
import { KnownLog, readKnown } from "../../model/filesLog.ts"
import { type DiskBackend, fill, segmentsOf, type TestDisk, withTopic } from "./disks.ts"

/** Large, so that all groups of a test stand in one segment. */
const oneSegment = { segmentBytes: 100_000, stagingBytes: 100_000 }

/** One such group fits, and a second one only in another segment. */
const fullSegment = { segmentBytes: 20_000, stagingBytes: 100_000 }
const groupBytes = 12_000

/** Appends the log's next batches, without a commit. */
const stage = (topic: TopicFiles, log: KnownLog, count: number) => {
  for (let i = 0; i < count; i += 1) assert.isTrue(topic.append(log.at(topic.end().index)))
}

/** The same, so many bytes. Returns the end. */
const stageBytes = (topic: TopicFiles, log: KnownLog, bytes: number): number => {
  while (topic.waitingBytes() < bytes) stage(topic, log, 1)
  return topic.end().index
}

/** A disk on which writes and syncs of files stand still, one operation or the other, until they are let go. */
const standing = (disk: Disk) => {
  const gates = { write: Latch.makeUnsafe(true), sync: Latch.makeUnsafe(true) }
  const writes: Array<number> = []
  let failsWrites = false
  let failsSyncs = false
  const fileOf = (file: DiskFile): DiskFile => ({
    ...file,
    write: (at, parts) =>
      Effect.suspend(() => {
        writes.push(parts.reduce((sum, { length }) => sum + length, 0))
        const refused = new DiskError({ op: "write", path: file.path, code: "EIO" })
        return Effect.andThen(gates.write.await, failsWrites ? Effect.fail(refused) : file.write(at, parts))
      }),
    sync: Effect.suspend(() => {
      const refused = new DiskError({ op: "sync", path: file.path, code: "EIO" })
      return Effect.andThen(gates.sync.await, failsSyncs ? Effect.fail(refused) : file.sync)
    })
  })
  const behind: Disk = {
    list: disk.list,
    makeDirectory: disk.makeDirectory,
    remove: disk.remove,
    rename: disk.rename,
    syncDirectory: disk.syncDirectory,
    open: (path, mode) => Effect.map(disk.open(path, mode), fileOf)
  }
  return {
    disk: behind,
    gates,
    /** Bytes of each write so far. */
    writes,
    failWrites: (fails: boolean) => {
      failsWrites = fails
    },
    failSyncs: (fails: boolean) => {
      failsSyncs = fails
    }
  }
}

const inBackground = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

/** What a process sees that does not write. */
const outside = ({ dir, disk }: TestDisk, log: KnownLog) =>
  Effect.flatMap(
    readReplicaFiles(disk, `${dir}/replica`),
    ({ topics }) => readKnown(topics.get("orders")!, log, 0)
  )

const namesEnding = (ending: string) => (test: TestDisk) =>
  Effect.map(segmentsOf(test), (names) => names.filter((name) => name.endsWith(ending)))
const namedOf = namesEnding(".segment")
const unnamedOf = namesEnding(".creating")

/** A commit that stands still in its sync, and behind it a group that belongs in the next segment, all of it written. */
const committingAndNext = Effect.fnUntraced(function*(topic: TopicFiles, log: KnownLog) {
  const first = stageBytes(topic, log, groupBytes)
  const committing = yield* inBackground(topic.commit)
  while (topic.waitingBytes() > 0) yield* Effect.sleep(1)
  const end = stageBytes(topic, log, groupBytes)
  while ((yield* topic.writeAhead) === 0) yield* Effect.sleep(1)
  assert.strictEqual(topic.unwrittenBytes(), 0)
  return { committing, first, end }
})

export const writingAhead = (backend: DiskBackend): void => {
  /** A topic with five batches in one segment, and others to come. */
  const onStanding = (
    use: (
      topic: TopicFiles,
      log: KnownLog,
      on: ReturnType<typeof standing> & { readonly test: TestDisk; readonly files: ReplicaFiles }
    ) => Effect.Effect<void, unknown, Scope.Scope>,
    options = oneSegment
  ) =>
    Effect.gen(function*() {
      const test = yield* backend.make
      const log = new KnownLog()
      const on = standing(test.disk)
      yield* withTopic({ dir: test.dir, disk: on.disk }, (topic, files) =>
        Effect.gen(function*() {
          yield* fill(topic, log, 5)
          yield* use(topic, log, { ...on, test, files })
        }), options)
      assert.deepStrictEqual(yield* unnamedOf(test), [])
      // What another process finds is what was committed, and no damage.
      yield* withTopic(test, (topic) =>
        Effect.gen(function*() {
          const end = yield* readKnown(topic, log, 0)
          assert.deepStrictEqual(new Map(topic.syncedIdentities()), log.identitiesAt(end))
        }), options)
      assert.deepStrictEqual(damageOf(yield* verify(test.disk, `${test.dir}/replica`)), [])
    })

  describe(`files of a replica: writing ahead (${backend.name})`, () => {
    it.live("blocks are there ahead of the commit, which writes the rest, and no reader takes them for a group", () =>
      onStanding((topic, log, { test, writes }) =>
        Effect.gen(function*() {
          stage(topic, log, 6)
          const bytes = topic.waitingBytes()
          assert.strictEqual(yield* topic.writeAhead, bytes)
          assert.deepStrictEqual([topic.unwrittenBytes(), topic.waitingBytes()], [0, bytes])
          assert.strictEqual(topic.synced().index, 5)
          assert.strictEqual(yield* outside(test, log), 5)
          stage(topic, log, 1)
          const rest = topic.unwrittenBytes()
          writes.length = 0
          assert.strictEqual((yield* topic.commit).index, 12)
          assert.deepStrictEqual(writes, [rest + 64])
          assert.strictEqual(yield* readKnown(topic, log, 0), 12)
          assert.strictEqual(yield* outside(test, log), 12)
        })
      ))

    it.live("the next group is written while the one before is synced, its commit block is not", () =>
      onStanding((topic, log, { gates, test }) =>
        Effect.gen(function*() {
          stage(topic, log, 4)
          gates.sync.closeUnsafe()
          const first = yield* inBackground(topic.commit)
          while (topic.waitingBytes() > 0) yield* Effect.sleep(1)
          stage(topic, log, 5)
          while ((yield* topic.writeAhead) === 0) yield* Effect.sleep(1)
          assert.strictEqual(topic.unwrittenBytes(), 0)
          const second = yield* inBackground(topic.commit)
          yield* Effect.sleep(5)
          assert.isUndefined(first.pollUnsafe())
          assert.strictEqual(topic.synced().index, 5)
          // The commit block of the first is written; that of the second is not, before the sync has returned.
          assert.strictEqual(yield* outside(test, log), 9)
          gates.sync.openUnsafe()
          assert.strictEqual((yield* Fiber.join(second)).index, 14)
          assert.strictEqual(yield* readKnown(topic, log, 0), 14)
        })
      ))

    it.live("what is asked for while a commit waits for its turn is not taken for that commit's group", () =>
      onStanding((topic, log, { gates }) =>
        Effect.gen(function*() {
          stage(topic, log, 3)
          gates.write.closeUnsafe()
          const ahead = yield* inBackground(topic.writeAhead)
          stage(topic, log, 2)
          // These wait for the write that stands still, in this order: the second is asked before the group is chosen.
          const again = yield* inBackground(topic.writeAhead)
          const committing = yield* inBackground(topic.commit)
          const later = yield* inBackground(topic.writeAhead)
          stage(topic, log, 4)
          gates.write.openUnsafe()
          yield* Fiber.joinAll([ahead, again, later])
          assert.strictEqual((yield* Fiber.join(committing)).index, 10)
          assert.strictEqual((yield* topic.commit).index, 14)
          assert.strictEqual(yield* readKnown(topic, log, 0), 14)
        })
      ))

    it.live("a write ahead that fails fails the commit of its group, which is written to another segment then", () =>
      onStanding((topic, log, { failWrites, test }) =>
        Effect.gen(function*() {
          stage(topic, log, 4)
          failWrites(true)
          assert.strictEqual(yield* topic.writeAhead, 0)
          failWrites(false)
          const error = yield* Effect.flip(topic.commit)
          assert.deepInclude({ ...error }, { op: "write", code: "EIO" })
          assert.strictEqual(topic.synced().index, 5)
          assert.strictEqual((yield* topic.commit).index, 9)
          assert.lengthOf(yield* segmentsOf(test), 2)
          assert.strictEqual(yield* readKnown(topic, log, 0), 9)
        })
      ))

    it.live("a group that does not fit is written ahead in the next segment, which has no name before its commit", () =>
      onStanding((topic, log, { gates, test, writes }) =>
        Effect.gen(function*() {
          gates.sync.closeUnsafe()
          const { committing, end, first } = yield* committingAndNext(topic, log)
          assert.lengthOf(yield* namedOf(test), 1)
          assert.lengthOf(yield* unnamedOf(test), 1)
          assert.strictEqual(yield* outside(test, log), first)
          writes.length = 0
          gates.sync.openUnsafe()
          yield* Fiber.join(committing)
          assert.strictEqual((yield* topic.commit).index, end)
          // The commit block alone.
          assert.deepStrictEqual(writes, [64])
          assert.lengthOf(yield* namedOf(test), 2)
          assert.lengthOf(yield* unnamedOf(test), 0)
          assert.strictEqual(yield* outside(test, log), end)
          const place = { disk: test.disk, dir: `${test.dir}/replica/topics/orders`, logId: "log", topic: "orders" }
          const { header } = yield* openSegment(place, first)
          assert.deepStrictEqual(new Map(Object.entries(header.identities)), log.identitiesAt(first))
          stage(topic, log, 1)
          assert.strictEqual((yield* topic.commit).index, end + 1)
        }), fullSegment))

    it.live("a group goes on being written ahead behind the first group of a segment, while that is synced", () =>
      onStanding((topic, log, { gates, test }) =>
        Effect.gen(function*() {
          const { committing } = yield* committingAndNext(topic, log)
          yield* Fiber.join(committing)
          gates.sync.closeUnsafe()
          const second = yield* inBackground(topic.commit)
          while (topic.waitingBytes() > 0) yield* Effect.sleep(1)
          stage(topic, log, 1)
          while ((yield* topic.writeAhead) === 0) yield* Effect.sleep(1)
          assert.lengthOf(yield* unnamedOf(test), 1)
          gates.sync.openUnsafe()
          yield* Fiber.join(second)
          assert.strictEqual((yield* topic.commit).index, topic.end().index)
          assert.lengthOf(yield* namedOf(test), 2)
        }), fullSegment))

    it.live("a group whose sync fails is written again ahead of what stands in the next segment, which is given up", () =>
      onStanding((topic, log, { failSyncs, gates }) =>
        Effect.gen(function*() {
          gates.sync.closeUnsafe()
          failSyncs(true)
          const { committing, end } = yield* committingAndNext(topic, log)
          gates.sync.openUnsafe()
          assert.deepInclude({ ...yield* Effect.flip(Fiber.join(committing)) }, { op: "sync", code: "EIO" })
          failSyncs(false)
          assert.strictEqual((yield* topic.commit).index, end)
          assert.strictEqual(yield* readKnown(topic, log, 0), end)
        }), fullSegment))

    it.live("a segment that was begun ahead of a new term is given up: the header of the one that takes its place says the term", () =>
      onStanding((topic, log, { files, test }) =>
        Effect.gen(function*() {
          const { committing, end, first } = yield* committingAndNext(topic, log)
          yield* Fiber.join(committing)
          yield* files.setTerm(3, { orders: first }, "another region")
          assert.strictEqual((yield* topic.commit).index, end)
          const place = { disk: test.disk, dir: `${test.dir}/replica/topics/orders`, logId: "log", topic: "orders" }
          assert.strictEqual((yield* openSegment(place, first)).header.term, 3)
          assert.strictEqual(yield* readKnown(topic, log, 0), end)
        }), fullSegment))

    it.live("files that are closed leave no segment without a name", () =>
      onStanding((topic, log, { test }) =>
        Effect.gen(function*() {
          const { committing } = yield* committingAndNext(topic, log)
          yield* Fiber.join(committing)
          assert.lengthOf(yield* unnamedOf(test), 1)
        }), fullSegment))

    it.live("a group that is written ahead stays in its segment", () =>
      Effect.gen(function*() {
        const test = yield* backend.make
        const log = new KnownLog()
        yield* withTopic(test, (topic) =>
          Effect.gen(function*() {
            for (let until = 10; until < 200; until += 10) {
              while (topic.end().index < until) {
                if (!topic.append(log.at(topic.end().index))) yield* topic.commit
                yield* topic.writeAhead
              }
            }
            yield* topic.commit
            assert.strictEqual(yield* readKnown(topic, log, 0), 190)
          }), { segmentBytes: 3000, stagingBytes: 2500 })
        assert.isAbove((yield* segmentsOf(test)).length, 5)
        assert.deepStrictEqual(damageOf(yield* verify(test.disk, `${test.dir}/replica`)), [])
      }))
  })
}
