/**
 * A subscriber of a log whose header is damaged or is just being written: its attachment retries for a while, without
 * blocking the process's other work.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { closeSync, openSync, writeSync } from "node:fs"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import * as Topic from "../../src/services/schema/Topic.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { smallGeometry } from "../backends/log.ts"
import { freshRegion } from "../processes/harness.ts"

const Lines = Topic.make("lines")

/** The offset of the epoch in the header, by docs/memory-layout.md. */
const epochAt = 192

const setEpoch = (path: string, epoch: number): void => {
  const file = openSync(path, "r+")
  writeSync(file, Uint8Array.of(epoch), 0, 1, epochAt)
  closeSync(file)
}

/** A log in which the topic is declared, and the path of its region. */
const withLog = <A, E>(run: (path: string) => Effect.Effect<A, E, Subscriber>) => {
  const memory = CxlMemory.layerShm({ region: freshRegion("attaching"), geometry: smallGeometry })
  return Effect.gen(function*() {
    const { info } = yield* CxlMemory.CxlMemory
    yield* Effect.scoped(Subscriber.open(Lines))
    return yield* run(info.path)
  }).pipe(Effect.provide(Log.layerEmbedded().pipe(Layer.provideMerge(memory))))
}

describe.skipIf(process.platform !== "linux")("attaching to a damaged log (native)", () => {
  it.live("it fails with corrupt when it stays so, and the event loop goes on until then", () =>
    withLog((path) =>
      Effect.gen(function*() {
        setEpoch(path, 77)
        let turns = 0
        const turning = setInterval(() => turns += 1, 5)
        const began = performance.now()
        const error = yield* Effect.flip(Effect.scoped(Subscriber.open(Lines)))
        clearInterval(turning)
        assert.isTrue(error._tag === "RegionError" && error.fault === "corrupt", error.message)
        assert.isAtLeast(performance.now() - began, 200)
        assert.isAtLeast(turns, 5)
      })
    ))

  it.live("it attaches when the header is whole again", () =>
    withLog((path) =>
      Effect.gen(function*() {
        setEpoch(path, 77)
        setTimeout(() => setEpoch(path, 1), 30)
        const position = yield* Effect.scoped(Effect.map(Subscriber.open(Lines), (subscriber) => subscriber.position()))
        assert.strictEqual(position, 0)
      })
    ))
})
