/**
 * Clients that attach to a log which is only about to be restored: they wait until it is served, and find its records.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import * as Topic from "../../src/services/schema/Topic.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { bytesOf, smallGeometry } from "../backends/log.ts"
import { freshRegion } from "../processes/harness.ts"

const Orders = Topic.make("orders", { ack: "durable" })

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "ring-restoring-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const openedBy = (region: string) =>
  Effect.gen(function*() {
    const publisher = yield* Publisher.open(Orders, { identity: "importer" })
    const subscriber = yield* Subscriber.open(Orders)
    yield* publisher.send(bytesOf("behind the restored ones"))
    yield* publisher.flush
    return [publisher.committed, subscriber.position()] as const
  }).pipe(
    Effect.scoped,
    Effect.provide(Log.layerClient().pipe(Layer.provideMerge(CxlMemory.layerAttach({ region }))))
  )

describe("a log that is about to be restored (native)", () => {
  it.live(
    "a client that attaches ahead of its first server does not get in the way, and begins behind its records",
    () =>
      Effect.gen(function*() {
        const dir = join(yield* folder, "replica")
        const region = freshRegion("restoring")
        const memory = CxlMemory.layerShm({ region, geometry: smallGeometry })
        yield* Effect.gen(function*() {
          const publisher = yield* Publisher.open(Orders, { identity: "importer" })
          yield* publisher.sendAll(Array.from({ length: 100 }, (_, i) => bytesOf(`record ${i}`)))
          yield* publisher.flush
        }).pipe(
          Effect.scoped,
          Effect.provide(Log.layerEmbedded({ replicas: [{ dir }] }).pipe(Layer.provideMerge(memory)))
        )
        const created = yield* Layer.build(memory)
        const client = yield* Effect.forkScoped(openedBy(region))
        // As long as a file system may take until the restore begins: the client is attached long before.
        yield* attachedTo(created)
        yield* Effect.sleep(100)
        yield* Layer.build(
          Log.layerServe({ restore: dir, replicas: [{ dir }] }).pipe(Layer.provide(Layer.succeedContext(created)))
        )
        assert.deepStrictEqual(yield* Fiber.join(client), [100, 100])
      }).pipe(Effect.scoped),
    60_000
  )
})

/** Waits until a second process table entry says that the client is there. */
const attachedTo = (created: Context.Context<CxlMemory.Provided>) =>
  Effect.gen(function*() {
    const { processes } = Context.get(created, CxlMemory.CxlMemory)
    while ((yield* processes).filter(({ alive }) => alive).length < 2) yield* Effect.sleep(2)
  })
