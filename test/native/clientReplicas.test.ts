/**
 * Replicas that clients of a log write: one that holds up publishers detaches itself, and catches up from the other's files.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import { readReplicaFiles } from "../../src/layers/files/readReplicaFiles.ts"
import { GivenDisk } from "../../src/layers/files/replica/ReplicaDisk.ts"
import * as Log from "../../src/layers/Log.ts"
import { nativeFileLock } from "../../src/layers/native/region/FileLock.ts"
import { nodeDisk } from "../../src/layers/node/NodeDisk.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import { Replica } from "../../src/services/Replica.ts"
import * as Topic from "../../src/services/schema/Topic.ts"
import { bytesOf, smallGeometry } from "../backends/log.ts"
import { faultyDisk } from "../faults/disks.ts"

const Orders = Topic.make("orders", { ack: "durable" })

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => bytesOf(`record ${from + i}`))

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "ring-replicas-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const log = Log.layerEmbedded({ topics: [Orders] }).pipe(
  Layer.provideMerge(CxlMemory.layerAnonymous({ geometry: smallGeometry }))
)

const storedRecords = (dir: string) =>
  Effect.gen(function*() {
    const stored = (yield* readReplicaFiles(nodeDisk, dir)).topics.get(Orders.name)
    return stored === undefined ? 0 : (yield* stored.bounds).end.position
  })

const untilSynced = (states: Replica["Service"]["states"], records: number) =>
  Effect.gen(function*() {
    while ((yield* states)[0]?.topics[0]?.syncedRecords !== records) yield* Effect.sleep(2)
  })

describe("replicas of clients (native)", () => {
  const { disk, heal, hold } = faultyDisk({ disk: nodeDisk, lock: nativeFileLock })

  it.live(
    "one that holds up publishers detaches itself while the other is ahead, and catches up from its files",
    () =>
      Effect.gen(function*() {
        const root = yield* folder
        const [first, second] = [join(root, "first"), join(root, "second")]
        const replicaIn = (dir: string, peer: string) =>
          Effect.map(Layer.build(Log.layerReplica({ dir, peers: [peer], durableCopies: 1 })), Context.get(Replica))
        const replicas = [yield* replicaIn(first, second), yield* replicaIn(second, first)]
        const publisher = yield* Publisher.open(Orders)
        yield* publisher.sendAll(numbered(0, 10))
        yield* publisher.flush
        for (const { states } of replicas) yield* untilSynced(states, 10)
        hold(second)
        yield* Effect.addFinalizer(() => Effect.sync(() => heal(second)))
        // Many times what memory has: it returns only once the replica that stands still is detached.
        yield* Effect.andThen(publisher.sendAll(numbered(10, 30_000)), publisher.flush).pipe(
          Effect.timeoutOrElse({
            duration: "20 seconds",
            orElse: () =>
              Effect.die(new Error("publishers wait for the replica that stands still: it was not detached"))
          })
        )
        const [held] = yield* replicas[1]!.states
        assert.strictEqual(held?.topics[0]?.syncedRecords, 10)
        heal(second)
        yield* publisher.sendAll(numbered(30_000, 30_010))
        for (const { states } of replicas) {
          yield* untilSynced(states, 30_010)
          while ((yield* states)[0]?.condition !== "in sync") yield* Effect.sleep(2)
        }
        for (const dir of [first, second]) assert.strictEqual(yield* storedRecords(dir), 30_010)
      }).pipe(Effect.scoped, Effect.provide(log), Effect.provideService(GivenDisk, disk)),
    60_000
  )
})
