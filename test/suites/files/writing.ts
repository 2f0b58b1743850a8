/**
 * What is written to a replica's files is read there again, by the process that writes and by others.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readReplicaFiles } from "../../../src/layers/files/readReplicaFiles.ts"
import type { StoredBatch, StoredReader } from "../../../src/layers/files/StoredTopic.ts"
import { damageOf, verify } from "../../../src/layers/files/verify.ts"
import type { Disk } from "../../../src/layers/ports/Disk.ts"
import { declared, KnownLog, plain, readKnown } from "../../model/filesLog.ts"
import { type DiskBackend, fill, openFiles, segmentsOf, withTopic } from "./disks.ts"

export const writing = (backend: DiskBackend): void => {
  describe(`files of a replica: writing and reading (${backend.name})`, () => {
    it.live("every batch comes back as it was, over many segments and openings", () =>
      Effect.gen(function*() {
        const disk = yield* backend.make
        const log = new KnownLog()
        for (const until of [50, 51, 120]) {
          yield* withTopic(disk, (topic) =>
            Effect.gen(function*() {
              yield* fill(topic, log, until)
              assert.strictEqual(yield* readKnown(topic, log, 0), until)
              assert.deepStrictEqual(topic.synced(), { index: until, position: log.at(until).position })
            }))
        }
        assert.isAbove((yield* segmentsOf(disk)).length, 5)
        const outside = (yield* readReplicaFiles(disk.disk, `${disk.dir}/replica`)).topics.get("orders")!
        assert.strictEqual(yield* readKnown(outside, log, 0), 120)
        assert.deepStrictEqual(yield* outside.identities, log.identitiesAt(120))
        const report = yield* verify(disk.disk, `${disk.dir}/replica`)
        assert.deepStrictEqual(damageOf(report), [])
        assert.strictEqual(report.topics[0]!.segments.reduce((sum, { batches }) => sum + batches, 0), 120)
      }))

    it.live("a group of many chunks comes back whole, while those behind it are read ahead", () =>
      Effect.gen(function*() {
        // The largest blocks are of 400 KB in one log, and larger than a chunk in the other.
        for (const [recordBytes, batches] of [[100_000, 48], [700_000, 8]] as const) {
          const disk = yield* backend.make
          const log = new KnownLog(40, recordBytes)
          yield* withTopic(disk, (topic) => fill(topic, log, batches, batches / 2), {
            segmentBytes: 10_000_000,
            stagingBytes: 20_000_000
          })
          const outside = (yield* readReplicaFiles(disk.disk, `${disk.dir}/replica`)).topics.get("orders")!
          assert.strictEqual(yield* readKnown(outside, log, 0), batches)
          assert.deepStrictEqual(damageOf(yield* verify(disk.disk, `${disk.dir}/replica`)), [])
        }
      }))

    it.live("a reader begins with the batch that holds a position", () =>
      Effect.gen(function*() {
        const disk = yield* backend.make
        const log = new KnownLog()
        yield* withTopic(disk, (topic) =>
          Effect.gen(function*() {
            yield* fill(topic, log, 60)
            for (let index = 0; index < 60; index += 7) {
              const { messageCount, position } = log.at(index)
              for (const from of [position, position + messageCount - 1]) {
                const reader = yield* topic.read(from)
                assert.deepStrictEqual(reader.next(), { index, position })
                assert.deepStrictEqual(plain((yield* reader.pull)[0]!), plain(log.at(index)))
              }
            }
          }))
      }))

    it.live("a reader at the end goes on when more is durable, in this process and in others", () =>
      Effect.gen(function*() {
        const disk = yield* backend.make
        const log = new KnownLog()
        yield* withTopic(disk, (topic) =>
          Effect.gen(function*() {
            yield* fill(topic, log, 3)
            const outside = (yield* readReplicaFiles(disk.disk, `${disk.dir}/replica`)).topics.get("orders")!
            const readers = [yield* topic.read(0), yield* outside.read(0)]
            for (let until = 3; until < 100; until += 5) {
              yield* fill(topic, log, until, 2)
              for (const reader of readers) {
                while ((yield* reader.pull).length > 0) {
                  // reads to the end
                }
                assert.deepStrictEqual(reader.next(), { index: until, position: log.at(until).position })
              }
              assert.isTrue(topic.append(log.at(until)))
              assert.deepStrictEqual(yield* readers[0]!.pull, [])
              yield* topic.commit
            }
          }))
      }))

    it.live("records without bytes, and batches larger than a segment and than the staging buffer", () =>
      Effect.gen(function*() {
        const disk = yield* backend.make
        const log = new KnownLog(5)
        const large = new KnownLog(400_000)
        const index = 5
        yield* withTopic(disk, (topic) =>
          Effect.gen(function*() {
            yield* fill(topic, log, index, 1)
            const payload = new Uint8Array(3_000_000).map((_, i) => i * 7)
            const batch = {
              ...large.at(index),
              position: topic.end().position,
              payload,
              uniformBytes: payload.length,
              lengths: undefined,
              messageCount: 1
            }
            assert.isTrue(topic.append(batch))
            assert.isFalse(topic.append({ ...log.at(index + 1), position: batch.position + 1 }))
            yield* topic.commit
            const empty = {
              ...batch,
              index: index + 1,
              position: batch.position + 1,
              payload: new Uint8Array(),
              uniformBytes: 0,
              lengths: new Uint32Array(3),
              messageCount: 3
            }
            assert.isTrue(topic.append(empty))
            yield* topic.commit
            const reader = yield* topic.read(batch.position)
            assert.strictEqual(Buffer.compare((yield* reader.pull)[0]!.payload, payload), 0)
            assert.deepStrictEqual(plain((yield* reader.pull)[0]!), plain(empty))
          }))
      }))

    it.live(
      "files of many MiB are read ahead, over segments and groups of every size, also while they grow",
      () =>
        Effect.gen(function*() {
          const disk = yield* backend.make
          const log = new KnownLog()
          const bytesOf = (index: number) => 8 * (1_000 + (index * 37_777) % 90_000)
          const batchAt = (index: number): StoredBatch => ({
            ...log.at(index),
            position: index,
            messageCount: 1,
            uniformBytes: bytesOf(index),
            lengths: undefined,
            payload: new Uint8Array(bytesOf(index)).fill(index),
            identity: undefined
          })
          const readUpTo = (reader: StoredReader, until: number) =>
            Effect.gen(function*() {
              for (let index = reader.next().index; index < until;) {
                const batches = yield* reader.pull
                assert.isAbove(batches.length, 0)
                for (const batch of batches) {
                  assert.strictEqual(batch.index, index)
                  assert.strictEqual(Buffer.compare(batch.payload, batchAt(index).payload), 0)
                  index += 1
                }
              }
            })
          yield* withTopic(disk, (topic) =>
            Effect.gen(function*() {
              const writeUpTo = (until: number) =>
                Effect.gen(function*() {
                  while (topic.end().index < until) {
                    const { index } = topic.end()
                    const isLast = !topic.append(batchAt(index)) || index % (1 + index % 23) === 0
                    if (isLast) yield* topic.commit
                  }
                  yield* topic.commit
                })
              yield* writeUpTo(80)
              const outside = (yield* readReplicaFiles(disk.disk, `${disk.dir}/replica`)).topics.get("orders")!
              const readers = [yield* topic.read(0), yield* outside.read(0), yield* outside.read(33)]
              yield* Effect.forEach(readers, (reader) => readUpTo(reader, 80), { concurrency: "unbounded" })
              // What was read ahead of the end is no longer right.
              for (let until = 83; until < 110; until += 3) {
                yield* writeUpTo(until)
                yield* Effect.forEach(readers, (reader) => readUpTo(reader, until), { concurrency: "unbounded" })
              }
            }), { segmentBytes: 20_000_000, stagingBytes: 9_000_000 })
        }),
      30_000
    )

    it.live("a reader opens a segment to find its place, and to read it, however many there are", () =>
      Effect.gen(function*() {
        const test = yield* backend.make
        const log = new KnownLog()
        yield* withTopic(test, (topic) => fill(topic, log, 300))
        const opened = new Map<string, number>()
        const { list, makeDirectory, remove, rename, syncDirectory } = test.disk
        const counting: Disk = {
          list,
          makeDirectory,
          remove,
          rename,
          syncDirectory,
          open: (path, mode) => {
            opened.set(path, (opened.get(path) ?? 0) + 1)
            return test.disk.open(path, mode)
          }
        }
        const files = yield* readReplicaFiles(counting, `${test.dir}/replica`)
        assert.strictEqual(yield* readKnown(files.topics.get("orders")!, log, 0), 300)
        const segments = [...opened].filter(([path]) => path.endsWith(".segment"))
        assert.isAtLeast(segments.length, 15)
        assert.isAtMost(Math.max(...segments.map(([, count]) => count)), 2)
      }))

    it.live("append takes no more than the staging buffer holds, and the rest after a commit", () =>
      Effect.gen(function*() {
        const disk = yield* backend.make
        const log = new KnownLog()
        yield* withTopic(disk, (topic) =>
          Effect.gen(function*() {
            while (topic.append(log.at(topic.end().index))) assert.isAtMost(topic.stagedBytes(), 4000)
            assert.isAbove(topic.stagedBytes(), 3000)
            const { index } = topic.end()
            assert.deepStrictEqual(yield* topic.commit, topic.end())
            assert.strictEqual(topic.stagedBytes(), 0)
            yield* fill(topic, log, index + 20)
            assert.strictEqual(yield* readKnown(topic, log, 0), index + 20)
          }))
      }))

    it.live("a new topic begins at its base, with the identities that are known there", () =>
      Effect.gen(function*() {
        const disk = yield* backend.make
        const log = new KnownLog()
        const base = { index: 40, position: log.at(40).position, identities: log.identitiesAt(40) }
        yield* Effect.scoped(Effect.gen(function*() {
          const files = yield* openFiles(disk)
          const topic = yield* files.topic("orders", declared, base)
          assert.deepStrictEqual(topic.synced(), { index: base.index, position: base.position })
          yield* fill(topic, log, 43)
          assert.deepStrictEqual(new Map(yield* topic.startIdentities), base.identities)
        }))
        yield* withTopic(disk, (topic) =>
          Effect.gen(function*() {
            assert.strictEqual(topic.start().index, 40)
            assert.strictEqual(yield* readKnown(topic, log, base.position), 43)
            assert.deepStrictEqual(new Map(topic.syncedIdentities()), log.identitiesAt(43))
            const refused = yield* Effect.flip(Effect.scoped(topic.read(base.position - 1)))
            assert.strictEqual(refused._tag, "PositionTrimmed")
          }))
      }))

    it.live("a time finds the first record that was ordered then or later", () =>
      Effect.gen(function*() {
        const disk = yield* backend.make
        const log = new KnownLog()
        yield* withTopic(disk, (topic) =>
          Effect.gen(function*() {
            yield* fill(topic, log, 100, 3)
            const outside = (yield* readReplicaFiles(disk.disk, `${disk.dir}/replica`)).topics.get("orders")!
            for (let index = 0; index < 100; index += 1) {
              const { orderedMillis } = log.at(index)
              // Two batches each have one time.
              const first = log.at(index - index % 2).position
              assert.strictEqual(yield* topic.seek(orderedMillis), first)
              assert.strictEqual(yield* outside.seek(orderedMillis - 1), first)
              assert.strictEqual(yield* topic.seek(orderedMillis + 1), log.at(index - index % 2 + 2).position)
            }
          }))
      }))

    it.live("retention removes whole segments, the oldest first and never the last", () =>
      Effect.gen(function*() {
        const disk = yield* backend.make
        const log = new KnownLog()
        const bytes = 8000
        yield* withTopic(disk, (topic) =>
          Effect.gen(function*() {
            yield* fill(topic, log, 100, 3)
            const before = (yield* segmentsOf(disk)).length
            const old = yield* topic.read(0)
            const retained = yield* topic.retain(0)
            const names = yield* segmentsOf(disk)
            assert.strictEqual(names.length, before - retained.segments)
            assert.isAbove(names.length, 1)
            assert.strictEqual(Number(names[0]!.slice(0, 20)), topic.start().index)
            assert.strictEqual((yield* Effect.flip(topic.read(0)))._tag, "PositionTrimmed")
            const met = yield* Effect.flip(Effect.forever(old.pull))
            assert.strictEqual(met._tag, "PositionTrimmed")
            assert.strictEqual(yield* readKnown(topic, log, topic.start().position), 100)
          }), { retention: { bytes } })
        yield* withTopic(disk, (topic) =>
          Effect.gen(function*() {
            yield* topic.retain(Number.MAX_SAFE_INTEGER)
            assert.strictEqual((yield* segmentsOf(disk)).length, 1)
            assert.strictEqual(yield* readKnown(topic, log, topic.start().position), 100)
          }), { retention: { millis: 1 } })
      }))
  })
}
