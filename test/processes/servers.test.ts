/**
 * Clients of a server that is killed or stopped, over real processes: no client waits for it longer than its deadline,
 * and none takes a place in the tables.
 */
import { assert, describe, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import * as Regions from "../../src/layers/Regions.ts"
import { Diagnostics } from "../../src/services/Diagnostics.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import * as Topic from "../../src/services/schema/Topic.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { smallGeometry } from "../backends/log.ts"
import { untilStopped } from "../faults/stopped.ts"
import { type Actor, freshRegion, start } from "./harness.ts"
import { Stamped } from "./stamped.ts"

const Declared = Stamped.topic
const clients = smallGeometry.clients ?? 0
const readers = smallGeometry.readers ?? 0
const record = new Uint8Array(256)

/** A client of a server in a process of its own. Removes the leftovers of a killed server at the end. */
const served = (
  what: string,
  run: (server: Actor) => Effect.Effect<void, unknown, Log.Client | CxlMemory.Provided>,
  { part = "serve", serverDeadline = 0 }: {
    readonly part?: "serve" | "create"
    /** By default the log is lost at once with its server. */
    readonly serverDeadline?: Duration.Input
  } = {}
) =>
  Effect.scoped(Effect.gen(function*() {
    const region = freshRegion(what)
    // Let a next owner remove the leftovers of a killed server.
    yield* Effect.addFinalizer(() =>
      Effect.ignore(
        Effect.scoped(Layer.build(CxlMemory.layerShm({ region, geometry: smallGeometry, leftLog: "discard" })))
      )
    )
    const server = yield* start(part, region, { geometry: smallGeometry })
    yield* server.ready
    const client = Log.layerClient({ serverDeadline }).pipe(
      Layer.provideMerge(CxlMemory.layerAttach({ region, processName: "client" }))
    )
    yield* run(server).pipe(Effect.provide(client))
  }))

const places = Effect.map(
  Diagnostics.use(({ snapshot }) => snapshot),
  ({ sessions, topics }) => ({ topics: topics.length, readers: topics[0]?.readers.length, sessions: sessions.length })
)

const kill = (server: Actor) =>
  Effect.suspend(() => {
    server.signal("SIGKILL")
    return server.exit
  })

const stop = (server: Actor) =>
  Effect.suspend(() => {
    server.signal("SIGSTOP")
    return untilStopped(server.pid)
  })

describe.skipIf(process.platform !== "linux")("servers", () => {
  it.live("opening against a killed server fails at once and names it, twenty times, and takes no place", () =>
    served("dead", (server) =>
      Effect.gen(function*() {
        yield* kill(server)
        const before = yield* places
        const begun = performance.now()
        for (let i = 0; i < 20; i += 1) {
          const errors = [
            yield* Effect.flip(Effect.scoped(Publisher.open(Declared))),
            yield* Effect.flip(Effect.scoped(Publisher.open(Topic.make(`new-${i}`)))),
            yield* Effect.flip(Effect.scoped(Subscriber.open(Declared, { from: "start" })))
          ]
          for (const error of errors) {
            assert.isTrue(error._tag === "RegionLost" && error.reason === "died", error.message)
            assert.include(error.message, `(pid ${server.pid}, "`)
          }
        }
        assert.isBelow(performance.now() - begun, 2000)
        assert.deepStrictEqual(yield* places, before)
      })))

  it.live("opening where the server was killed before it served fails at once and names it", () =>
    served("unborn", (creator) =>
      Effect.gen(function*() {
        const publisher = yield* Effect.forkChild(Effect.flip(Effect.scoped(Publisher.open(Declared))), {
          startImmediately: true
        })
        yield* kill(creator)
        const waited = yield* Effect.timeout(Fiber.join(publisher), "1 second")
        const late = yield* Effect.flip(Effect.scoped(Publisher.open(Declared)))
        const subscriber = yield* Effect.flip(Effect.scoped(Subscriber.open(Declared)))
        for (const error of [waited, late, subscriber]) {
          assert.isTrue(error._tag === "RegionLost" && error.reason === "died", error.message)
          assert.include(error.message, `(pid ${creator.pid}, "`)
        }
      }), { part: "create" }))

  it.live("a subscriber gets what was committed before its server was killed, and no false end", () =>
    served("committed", (server) =>
      Effect.scoped(Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Declared, { from: "start", untilEnd: true })
        const publisher = yield* Publisher.open(Declared)
        yield* publisher.send(record)
        yield* publisher.flush
        yield* kill(server)
        assert.strictEqual((yield* subscriber.pull).length, 1)
        const error = yield* Effect.flip(subscriber.pull)
        assert.isTrue(error._tag === "RegionLost" && error.reason === "died")
      }))))

  it.live("a client that waits for the next server fails at once when the log is discarded", () =>
    served("replaced", (server) =>
      Effect.scoped(Effect.gen(function*() {
        const publisher = yield* Publisher.open(Declared)
        const subscriber = yield* Subscriber.open(Declared)
        const waiting = yield* Effect.forEach([publisher.lost, subscriber.pull], (wait) =>
          Effect.forkChild(Effect.flip(wait), { startImmediately: true }))
        const { path } = yield* CxlMemory.CxlMemory.use(({ info }) =>
          Effect.succeed(info)
        )
        yield* kill(server)
        yield* Regions.removeDead(path, { discard: true })
        for (const each of waiting) {
          const error = yield* Effect.timeout(Fiber.join(each), "2 seconds")
          assert.isTrue(error._tag === "RegionLost" && error.reason === "replaced", error.message)
        }
      })), { serverDeadline: "60 seconds" }))

  it.live("idle handles learn within a second that their server was killed", () =>
    served("idle", (server) =>
      Effect.scoped(Effect.gen(function*() {
        const publisher = yield* Publisher.open(Declared)
        const subscriber = yield* Subscriber.open(Declared)
        const told = yield* Effect.forkChild(
          Effect.all([Effect.flip(publisher.lost), Effect.flip(subscriber.lost)], { concurrency: "unbounded" }),
          { startImmediately: true }
        )
        yield* kill(server)
        for (const lost of yield* Effect.timeout(Fiber.join(told), "1 second")) {
          assert.deepStrictEqual([lost.reason, lost.server?.pid], ["died", server.pid])
        }
      }))))

  it.live("what waits for a stopped server ends at its deadline, names it, and leaves nothing claimed", () =>
    served("stopped", (server) =>
      Effect.scoped(Effect.gen(function*() {
        const deadlines = { roomDeadline: "200 millis", ackDeadline: "200 millis", openDeadline: "200 millis" } as const
        const publisher = yield* Publisher.open(Declared, deadlines)
        yield* stop(server)
        const who = `(pid ${server.pid}, "actor") is attached but does not answer: it is stopped or too busy`
        const endsInTime = <E extends { readonly message: string }, R>(wait: Effect.Effect<unknown, E, R>) =>
          Effect.gen(function*() {
            const begun = performance.now()
            const error = yield* Effect.flip(wait)
            assert.isBelow(performance.now() - begun, 1000)
            assert.include(error.message, who)
            assert.include(error.message, `kill -CONT ${server.pid}`)
            return error
          })
        yield* publisher.send(record)
        assert.strictEqual((yield* endsInTime(publisher.flush))._tag, "AckTimeout")
        const filling = Effect.forever(publisher.send(new Uint8Array(4096)))
        assert.strictEqual((yield* endsInTime(filling))._tag, "Backpressure")
        for (let i = 0; i < 2 * clients; i += 1) {
          const error = yield* endsInTime(Publisher.open(Declared, deadlines))
          assert.isTrue(error._tag === "RegionError" && error.fault === "notAnswering")
        }
        server.signal("SIGCONT")
        yield* publisher.flush
        for (let i = 1; i < clients; i += 1) yield* Publisher.open(Declared)
        const full = yield* Effect.flip(Publisher.open(Declared))
        assert.isTrue(full._tag === "RegionError" && full.fault === "full")
      }))))

  it.live("a full table of readers with a dead one is waited for, and a stopped server is named", () =>
    served("readers", (server) =>
      Effect.scoped(Effect.gen(function*() {
        const { region } = yield* Effect.map(CxlMemory.CxlMemory, ({ info }) => ({ region: info.name }))
        const reader = yield* start("subscribe", region, { name: "dead" })
        yield* reader.ready
        for (let i = 1; i < readers; i += 1) yield* Subscriber.open(Declared)
        const full = yield* Effect.flip(Effect.scoped(Subscriber.open(Declared)))
        assert.isTrue(full._tag === "RegionError" && full.fault === "full", full.message)
        yield* stop(server)
        yield* kill(reader)
        const begun = performance.now()
        const error = yield* Effect.flip(Effect.scoped(Subscriber.open(Declared)))
        assert.isBelow(performance.now() - begun, 6000)
        assert.isTrue(error._tag === "RegionError" && error.fault === "notAnswering", error.message)
        assert.include(error.message, "all 4 reader slots of the topic are taken, 1 of them by dead readers")
        assert.include(error.message, `(pid ${server.pid}, "actor") is attached but does not answer`)
        assert.include(error.message, `kill -CONT ${server.pid}`)
        const opening = yield* Effect.forkChild(Subscriber.open(Declared), { startImmediately: true })
        server.signal("SIGCONT")
        yield* Fiber.join(opening)
      }))))

  it.live("what waits for a killed server goes on waiting until its deadline, and a line says so once", () =>
    Effect.suspend(() => {
      const lines: Array<string> = []
      const collector = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
      return served("waits", (server) =>
        Effect.scoped(Effect.gen(function*() {
          const publisher = yield* Publisher.open(Declared)
          const subscriber = yield* Subscriber.open(Declared)
          yield* kill(server)
          const begun = performance.now()
          // The room of the lanes is theirs until they are full.
          yield* publisher.send(record)
          const errors = yield* Effect.all(
            [
              Effect.flip(publisher.flush),
              Effect.flip(publisher.lost),
              Effect.flip(subscriber.pull),
              Effect.flip(Publisher.open(Declared)),
              Effect.flip(Subscriber.open(Declared, { untilEnd: true }))
            ],
            { concurrency: "unbounded" }
          )
          const waited = performance.now() - begun
          for (const error of errors) {
            assert.isTrue(error._tag === "RegionLost" && error.reason === "died", error.message)
            assert.include(error.message, `(pid ${server.pid}, "`)
          }
          assert.isAtLeast(waited, 1100)
          assert.isBelow(waited, 3000)
          assert.strictEqual((yield* Effect.flip(publisher.flush))._tag, "RegionLost")
          for (const client of new Set(lines)) {
            assert.match(
              client,
              /the process that served the log \(pid \d+, ".*"\) is gone; waiting at most 1.20 s for another/
            )
          }
          // The publishers and the subscribers are two clients.
          assert.strictEqual(lines.length, 2)
        })), { serverDeadline: "1200 millis" }).pipe(Effect.provide(collector))
    }))

  it.live("a scope that closes over a stopped server closes at once", () =>
    served("closing", (server) =>
      Effect.gen(function*() {
        const begun = yield* Effect.scoped(Effect.gen(function*() {
          const publisher = yield* Publisher.open(Declared)
          yield* Subscriber.open(Declared)
          yield* stop(server)
          yield* publisher.send(record)
          return performance.now()
        }))
        assert.isBelow(performance.now() - begun, 500)
        server.signal("SIGCONT")
      })))
})
