/**
 * Failures of the disk, damage of the files, and directories that cannot be used.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { batchBytes, writeBatch } from "../../../src/layers/files/format/batch.ts"
import { makeBytes } from "../../../src/layers/files/format/bytes.ts"
import { sizes } from "../../../src/layers/files/format/layout.ts"
import { openReplicaFiles } from "../../../src/layers/files/openReplicaFiles.ts"
import { readReplicaFiles } from "../../../src/layers/files/readReplicaFiles.ts"
import type { TopicFiles } from "../../../src/layers/files/ReplicaFiles.ts"
import { damageOf, verify } from "../../../src/layers/files/verify.ts"
import { SimulatedDisk } from "../../../src/layers/memory/files/SimulatedDisk.ts"
import type { DiskOperation } from "../../../src/layers/ports/Disk.ts"
import type { FileLock } from "../../../src/layers/ports/FileLock.ts"
import { FileLockBusy } from "../../../src/layers/ports/FileLock.ts"
import { declared, freeLock, KnownLog, readKnown } from "../../model/filesLog.ts"
import { fill, openFiles, segmentsOf, small, withTopic } from "./disks.ts"

const make = (bytes?: number) =>
  Effect.gen(function*() {
    const disk = new SimulatedDisk({ random: () => 0.5, bytes })
    yield* disk.makeDirectory("/data")
    yield* disk.syncDirectory("/")
    return { disk, dir: "/data" }
  })

const folder = "/data/replica/topics/orders"

const end = 46

/** Files of some segments, closed in good order, and what they consist of. */
const filledUpTo = (until: number) =>
  Effect.gen(function*() {
    const disk = yield* make()
    const log = new KnownLog()
    yield* withTopic(disk, (topic) => fill(topic, log, until, 2), { segmentBytes: 1500 })
    const names = yield* segmentsOf(disk)
    return { ...disk, log, names }
  })

const filled = filledUpTo(end)

const bytesOf = (disk: SimulatedDisk, path: string) =>
  Effect.scoped(Effect.gen(function*() {
    const file = yield* disk.open(path, "read")
    const bytes = new Uint8Array(yield* file.size)
    yield* file.read(0, bytes)
    return bytes
  }))

/** Appends up to an index, and lets the commit fail once at an operation. */
const failOnce = (disk: SimulatedDisk, op: DiskOperation, topic: TopicFiles, log: KnownLog, until: number) =>
  Effect.gen(function*() {
    const synced = topic.synced()
    while (topic.end().index < until) topic.append(log.at(topic.end().index))
    disk.fate = (at) => at === op ? "EIO" : undefined
    const error = yield* Effect.flip(topic.commit)
    disk.fate = () => undefined
    assert.deepInclude({ ...error }, { op, code: "EIO" })
    assert.deepStrictEqual(topic.synced(), synced)
  })

export const failing = (): void => {
  describe("files of a replica: failures of the disk", () => {
    for (const op of ["write", "sync"] as const) {
      it.live(`after a failed ${op} the same batches are written, to another segment`, () =>
        Effect.gen(function*() {
          const { dir, disk } = yield* make()
          const log = new KnownLog()
          yield* withTopic({ dir, disk }, (topic) =>
            Effect.gen(function*() {
              yield* fill(topic, log, 5)
              yield* fill(topic, log, 9)
              assert.lengthOf(yield* segmentsOf({ dir, disk }), 1)
              yield* failOnce(disk, op, topic, log, 12)
              assert.strictEqual((yield* topic.commit).index, 12)
              assert.lengthOf(yield* segmentsOf({ dir, disk }), 2)
              assert.strictEqual(yield* readKnown(topic, log, 0), 12)
            }), { segmentBytes: 100_000 })
          disk.losePower()
          yield* withTopic({ dir, disk }, (topic) =>
            Effect.map(readKnown(topic, log, 0), (end) => assert.strictEqual(end, 12)))
        }))
    }

    for (const op of ["open", "write", "sync", "rename", "sync directory"] as const) {
      it.live(`after a failed ${op} a segment is created again`, () =>
        Effect.gen(function*() {
          const { dir, disk } = yield* make()
          const log = new KnownLog()
          yield* withTopic({ dir, disk }, (topic) =>
            Effect.gen(function*() {
              yield* failOnce(disk, op, topic, log, 4)
              assert.strictEqual((yield* topic.commit).index, 4)
              assert.lengthOf(yield* segmentsOf({ dir, disk }), 1)
            }))
          disk.losePower()
          yield* withTopic({ dir, disk }, (topic) =>
            Effect.map(readKnown(topic, log, 0), (end) => assert.strictEqual(end, 4)))
        }))
    }

    it.live("a full disk deletes nothing, takes no more, and goes on when there is room", () =>
      Effect.gen(function*() {
        const { dir, disk } = yield* make(6000)
        const log = new KnownLog()
        yield* withTopic({ dir, disk }, (topic) =>
          Effect.gen(function*() {
            const error = yield* Effect.flip(fill(topic, log, 100))
            assert.strictEqual(error.code, "ENOSPC")
            const { index } = topic.synced()
            assert.isAbove(index, 10)
            while (topic.append(log.at(topic.end().index))) assert.isAtMost(topic.stagedBytes(), 8000)
            for (let i = 0; i < 5; i += 1) assert.strictEqual((yield* Effect.flip(topic.commit)).code, "ENOSPC")
            assert.strictEqual(topic.synced().index, index)
            assert.strictEqual(topic.start().index, 0)
            assert.strictEqual(yield* readKnown(topic, log, 0), index)
            disk.enlarge(100_000)
            assert.isAbove((yield* topic.commit).index, index)
            assert.strictEqual(yield* readKnown(topic, log, 0), topic.end().index)
          }))
      }))

    it.live("a disk that hangs holds up the commit and nothing else", () =>
      Effect.gen(function*() {
        const { dir, disk } = yield* make()
        const log = new KnownLog()
        yield* withTopic({ dir, disk }, (topic) =>
          Effect.gen(function*() {
            yield* fill(topic, log, 4)
            topic.append(log.at(4))
            yield* disk.hold
            const commit = yield* Effect.forkChild(topic.commit)
            yield* Effect.yieldNow
            assert.isTrue(topic.append(log.at(5)))
            assert.strictEqual(topic.synced().index, 4)
            yield* disk.resume
            assert.strictEqual((yield* Fiber.join(commit)).index, 5)
            assert.strictEqual((yield* topic.commit).index, 6)
          }))
      }))

    it.live("a process that was killed leaves a last group that is written again, one closed in good order none", () =>
      Effect.gen(function*() {
        const { dir, disk } = yield* make()
        const log = new KnownLog()
        yield* withTopic({ dir, disk }, (topic) => fill(topic, log, 6, 2), { segmentBytes: 100_000 })
        yield* withTopic({ dir, disk }, () => Effect.void)
        assert.lengthOf(yield* segmentsOf({ dir, disk }), 1)
        yield* withTopic(
          { dir, disk },
          (topic) => Effect.andThen(fill(topic, log, 12, 2), Effect.sync(() => disk.endProcess())),
          { segmentBytes: 100_000 }
        ).pipe(
          Effect.exit
        )
        const before = yield* segmentsOf({ dir, disk })
        assert.lengthOf(before, 2)
        for (let opened = 0; opened < 3; opened += 1) {
          yield* withTopic({ dir, disk }, (topic) => readKnown(topic, log, 0))
          assert.lengthOf(yield* segmentsOf({ dir, disk }), 3)
        }
      }))
  })

  describe("files of a replica: damage", () => {
    it.live("no byte can change unnoticed", () =>
      Effect.gen(function*() {
        const { dir, disk, log, names } = yield* filledUpTo(14)
        for (const name of [names[0], names.at(-1)!]) {
          const path = `${folder}/${name}`
          const bytes = yield* bytesOf(disk, path)
          // The closing commit block says nothing that is not known without it.
          const until = name === names.at(-1) ? bytes.length - sizes.commit : bytes.length
          for (let at = 0; at < until; at += 1) {
            disk.damage(path, at, Uint8Array.of(bytes[at]! ^ 0x10))
            const found = damageOf(yield* verify(disk, `${dir}/replica`))
            assert.lengthOf(found, 1, `byte ${at} of ${name}`)
            assert.strictEqual(found[0]!.file, path)
            assert.isAtMost(found[0]!.offset, at)
            disk.damage(path, at, bytes.subarray(at, at + 1))
          }
        }
        yield* withTopic({ dir, disk }, (topic) => readKnown(topic, log, 0))
      }))

    it.live("a valid block in the place of another is damage: its commit block knows which blocks it covers", () =>
      Effect.gen(function*() {
        const { dir, disk, log, names } = yield* filled
        const path = `${folder}/${names[0]!}`
        const bytes = yield* bytesOf(disk, path)
        const batch = log.at(1)
        const block = makeBytes(batchBytes(batch))
        writeBatch(block, 0, batch)
        const at = Buffer.from(bytes).indexOf(block.bytes)
        assert.isAbove(at, 0)
        writeBatch(block, 0, { ...batch, payload: batch.payload.map((byte) => byte ^ 1) })
        disk.damage(path, at, block.bytes)
        assert.include(damageOf(yield* verify(disk, `${dir}/replica`))[0]?.message, "it covers other blocks")
      }))

    it.live("neither opening nor reading passes over damage, and neither changes anything", () =>
      Effect.gen(function*() {
        const { dir, disk, log, names } = yield* filled
        for (const name of [names[1]!, names.at(-1)!]) {
          const path = `${folder}/${name}`
          const bytes = yield* bytesOf(disk, path)
          const at = bytes.length - 200
          disk.damage(path, at, Uint8Array.of(bytes[at]! ^ 1))
          const outside = (yield* readReplicaFiles(disk, `${dir}/replica`)).topics.get("orders")!
          const error = yield* Effect.flip(readKnown(outside, log, 0))
          assert.strictEqual(error._tag, "ReplicaDamaged")
          const opened = yield* Effect.exit(withTopic({ dir, disk }, (topic) => readKnown(topic, log, 0)))
          assert.strictEqual(opened._tag, "Failure")
          disk.damage(path, at, bytes.subarray(at, at + 1))
          assert.deepStrictEqual(yield* bytesOf(disk, path), bytes)
        }
        yield* withTopic({ dir, disk }, (topic) => readKnown(topic, log, 0))
      }))

    it.live("a missing segment between two others is damage", () =>
      Effect.gen(function*() {
        const { dir, disk, names } = yield* filled
        yield* disk.remove(`${folder}/${names[1]!}`)
        const [damage] = damageOf(yield* verify(disk, `${dir}/replica`))
        assert.strictEqual(damage?.file, `${folder}/${names[0]!}`)
        assert.strictEqual((yield* Effect.flip(withTopic({ dir, disk }, () => Effect.void)))._tag, "ReplicaDamaged")
      }))

    it.live("damaged and missing segments are written again from a peer", () =>
      Effect.gen(function*() {
        const peer = yield* filled
        const from = (yield* readReplicaFiles(peer.disk, `${peer.dir}/replica`)).topics.get("orders")!
        for (const at of [3, 150, 1200]) {
          const { dir, disk, log, names } = yield* filled
          for (const name of [names[1]!, names[2]!, names.at(-1)!]) {
            const path = `${folder}/${name}`
            const bytes = yield* bytesOf(disk, path)
            const place = Math.min(at, bytes.length - 100)
            disk.damage(path, place, Uint8Array.of(bytes[place]! ^ 1))
          }
          yield* disk.remove(`${folder}/${names[3]!}`)
          yield* Effect.scoped(Effect.gen(function*() {
            const files = yield* openFiles({ dir, disk })
            // The segment before the missing one takes its batches too.
            assert.strictEqual((yield* files.repairFrom("orders", from)).segments, 3)
            const topic = yield* files.topic("orders", declared)
            assert.strictEqual(yield* readKnown(topic, log, 0), end)
            assert.deepStrictEqual(new Map(topic.syncedIdentities()), log.identitiesAt(end))
          }))
          assert.deepStrictEqual(damageOf(yield* verify(disk, `${dir}/replica`)), [])
        }
      }))

    it.live("a peer that lacks the batches repairs nothing", () =>
      Effect.gen(function*() {
        const peer = yield* make()
        const { dir, disk, log, names } = yield* filled
        yield* withTopic(peer, (topic) => fill(topic, log, end - 1, 2))
        const from = (yield* readReplicaFiles(peer.disk, `${peer.dir}/replica`)).topics.get("orders")!
        const path = `${folder}/${names.at(-1)!}`
        const bytes = yield* bytesOf(disk, path)
        disk.damage(path, bytes.length - 200, Uint8Array.of(bytes[bytes.length - 200]! ^ 1))
        const changed = yield* bytesOf(disk, path)
        const error = yield* Effect.flip(
          Effect.scoped(Effect.flatMap(openFiles({ dir, disk }), (files) => files.repairFrom("orders", from)))
        )
        assert.include(error.message, "it was not repaired, because the other replica ends before batch")
        assert.deepStrictEqual(yield* bytesOf(disk, path), changed)
      }))
  })

  describe("files of a replica: directories", () => {
    it.live("a directory that another process holds, of another log, or without a replica", () =>
      Effect.gen(function*() {
        const { dir, disk } = yield* filled
        const replica = `${dir}/replica`
        const held: FileLock = { lock: (path) => Effect.fail(new FileLockBusy({ path, pid: 4711 })) }
        const open = (lock: FileLock, path: string, logId: string | undefined) =>
          Effect.flip(Effect.scoped(openReplicaFiles(disk, lock, path, { ...small, logId })))
        assert.deepInclude({ ...(yield* open(held, replica, "log")) }, { _tag: "ReplicaBusy", pid: 4711 })
        assert.deepInclude({ ...(yield* open(freeLock, replica, "other")) }, { _tag: "ReplicaForeign", found: "log" })
        assert.strictEqual((yield* open(freeLock, "/data/none", undefined))._tag, "ReplicaMissing")
        assert.strictEqual((yield* Effect.flip(readReplicaFiles(disk, "/data/none")))._tag, "ReplicaMissing")
        assert.strictEqual((yield* Effect.flip(verify(disk, "/data")))._tag, "ReplicaMissing")
        yield* disk.remove(`${replica}/manifest.json`)
        assert.strictEqual((yield* open(freeLock, replica, "log"))._tag, "ReplicaDamaged")
      }))

    it.live("the manifest keeps what it is told, over openings", () =>
      Effect.gen(function*() {
        const { dir, disk } = yield* filled
        yield* Effect.scoped(Effect.gen(function*() {
          const files = yield* openFiles({ dir, disk })
          assert.isFalse(files.manifest().inSync)
          yield* files.setInSync(true)
          yield* files.setTerm(3, { orders: 17 }, "other")
        }))
        disk.losePower()
        yield* Effect.scoped(Effect.gen(function*() {
          const files = yield* openFiles({ dir, disk }, { logId: undefined })
          assert.deepInclude(files.manifest(), {
            inSync: true,
            logId: "log",
            term: { number: 3, from: { orders: 17 }, region: "other" }
          })
          assert.deepStrictEqual(files.manifest().topics, { orders: declared })
        }))
      }))

    it.live("files that are closed write nothing any more: another process may hold them", () =>
      Effect.gen(function*() {
        const { dir, disk } = yield* make()
        const log = new KnownLog()
        const topic = yield* withTopic({ dir, disk }, (topic) => Effect.as(fill(topic, log, 3), topic))
        topic.append(log.at(3))
        const names = yield* segmentsOf({ dir, disk })
        const exit = yield* Effect.exit(topic.commit)
        assert.isTrue(Exit.hasDies(exit))
        assert.deepStrictEqual(yield* segmentsOf({ dir, disk }), names)
      }))

    it.live("a topic that is open is closed before its files are set aside", () =>
      Effect.gen(function*() {
        const { dir, disk, log } = yield* filled
        yield* Effect.scoped(Effect.gen(function*() {
          const files = yield* openFiles({ dir, disk })
          const former = yield* files.topic("orders", declared)
          yield* files.setAside("orders")
          former.append(log.at(end))
          assert.isTrue(Exit.hasDies(yield* Effect.exit(former.commit)))
          const topic = yield* files.topic("orders", declared)
          yield* fill(topic, log, 4)
          assert.strictEqual(yield* readKnown(topic, log, 0), 4)
        }))
      }))

    it.live("files that were set aside begin again, and those of another declaration are refused", () =>
      Effect.gen(function*() {
        const { dir, disk, log } = yield* filled
        yield* Effect.scoped(Effect.gen(function*() {
          const files = yield* openFiles({ dir, disk })
          const refused = yield* Effect.flip(files.topic("orders", { ...declared, order: "total" }))
          assert.include(refused.message, "declared there with order session")
          yield* files.setAside("orders")
          const topic = yield* files.topic("orders", { ...declared, order: "total" })
          assert.deepStrictEqual(topic.synced(), { index: 0, position: 0 })
          yield* fill(topic, log, 3)
        }))
        assert.deepStrictEqual(yield* disk.list(`${dir}/replica/aside`), ["orders-1"])
        assert.isAbove((yield* disk.list(`${dir}/replica/aside/orders-1`)).length, 3)
      }))
  })
}
