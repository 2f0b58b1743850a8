/**
 * Servers that end and restart under clients that stay: no mapping of a region outlives its last attachment.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import * as Regions from "../../src/layers/Regions.ts"
import { rounds } from "../rounds.ts"
import { type Actor, type ActorEnded, freshRegion, start, startActor } from "./harness.ts"
import { Stamped } from "./stamped.ts"

const restarts = rounds(4, 20)

const geometry = { brokers: 2, clients: 4, topics: 1, laneBytes: 2 * 1024 * 1024, processes: 8 }

const linesOf = (path: string): ReadonlyArray<string> => {
  try {
    return readFileSync(path, "utf8").split("\n")
  } catch {
    return [] // the process is gone
  }
}

/** The files of that region which a process maps, by inode: an unlinked file has the same path. */
const mapped = (pid: number, path: string): ReadonlySet<string> =>
  new Set(linesOf(`/proc/${pid}/maps`).filter((line) => line.includes(path)).map((line) => line.split(/\s+/)[4] ?? ""))

const opened = (pid: number, path: string): number =>
  readdirSync(`/proc/${pid}/fd`).filter((descriptor) => {
    try {
      const file = readlinkSync(`/proc/${pid}/fd/${descriptor}`)
      return file.includes(path) && !file.includes(".bell-")
    } catch {
      return false // closed meanwhile
    }
  }).length

const inShm = (region: string) => readdirSync(CxlMemory.shmFolder).filter((name) => name.includes(region))

/**
 * Serves for a while, in a process that is killed or in this one, which discards what that one has left, and closes its own
 * log: so each server has a region of its own, and its clients attach again.
 */
const oneServer = (life: number, region: string, whileServing: Effect.Effect<void, ActorEnded>) => {
  if (life % 2 === 0) {
    return Effect.scoped(Effect.gen(function*() {
      const server = yield* start("serve", region, { geometry })
      yield* server.ready
      yield* whileServing
      server.signal("SIGKILL")
      yield* server.exit
    }))
  }
  const Served = Log.layerServe({ topics: [Stamped.topic] }).pipe(
    Layer.provideMerge(CxlMemory.layerShm({ region, geometry, leftLog: "discard" }))
  )
  return Effect.provide(whileServing, Served)
}

describe("restarts", () => {
  it.live(
    `${restarts} servers, one after the other, under clients that attach again: never more than one region is mapped`,
    () => {
      const region = freshRegion("restarts")
      const path = CxlMemory.regionPath(region)
      const mostMapped = (actors: ReadonlyArray<Actor>) =>
        Math.max(...[process.pid, ...actors.map(({ pid }) => pid)].map((pid) => mapped(pid, path).size))
      return Effect.gen(function*() {
        const clients = yield* Effect.forEach(
          ["publish", "publish", "subscribe", "subscribe"],
          (part) => startActor("attachAgainActor.ts", [part, region])
        )
        for (let life = 0; life <= restarts; life += 1) {
          yield* oneServer(
            life,
            region,
            Effect.gen(function*() {
              // Each client reports once for each server.
              yield* Effect.forEach(clients, (client) => client.acknowledged(life + 1))
              assert.strictEqual(mostMapped(clients), 1)
              for (const { pid } of clients) assert.strictEqual(opened(pid, path), 1)
              assert.deepStrictEqual(inShm(region).filter((name) => !name.includes(".bell-")), [`ringfence-${region}`])
            })
          )
          assert.isAtMost(mostMapped(clients), 1)
        }
      }).pipe(
        Effect.scoped,
        Effect.andThen(Regions.removeDead(path, { discard: true })),
        Effect.andThen(Effect.sync(() => {
          assert.deepStrictEqual(inShm(region), [])
          assert.strictEqual(mapped(process.pid, path).size, 0)
        }))
      )
    },
    120_000
  )
})
