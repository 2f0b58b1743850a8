/**
 * A subscriber of a topic whose trim frontier is damaged or is just being written: its attachment retries for a while,
 * without blocking the process's other work.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { closeSync, openSync, readFileSync, writeSync } from "node:fs"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import * as Topic from "../../src/services/schema/Topic.ts"
import { Sequencer } from "../../src/services/Sequencer.ts"
import { Subscriber } from "../../src/services/Subscriber.ts"
import { smallGeometry } from "../backends/log.ts"
import { freshRegion } from "../processes/harness.ts"

const Lines = Topic.make("lines")

/** The two words at the beginning of the head of an epoch block: epoch 1, which serves. */
const headWords = Buffer.from("0a240201000000000a24020100000000", "hex")

/**
 * The offsets of the seals of the first topic's `TopicLine.retention` and of its spare in their block, by
 * docs/memory-layout.md: what attaches reads the spare when the line does not hold.
 */
const sealsInBlock = [256 + 64 + 56, 256 + 256 + 56]

const sealsAt = (path: string): ReadonlyArray<number> => {
  const head = readFileSync(path).indexOf(headWords)
  assert.isAtLeast(head, 4096)
  return sealsInBlock.map((seal) => head + seal)
}

const damage = (path: string, seals: ReadonlyArray<number>): void => {
  const file = openSync(path, "r+")
  for (const seal of seals) writeSync(file, Uint8Array.of(77), 0, 1, seal)
  closeSync(file)
}

/** A log in which the topic is declared, and the path of its region. */
const withLog = <A, E>(run: (path: string) => Effect.Effect<A, E, Sequencer | Subscriber>) => {
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
        // A paused sequencer does not write the line again, as it does otherwise ten times a second.
        yield* Effect.flatMap(Sequencer, (sequencer) => sequencer.pause)
        damage(path, sealsAt(path))
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

  it.live("it attaches by the spare of a line that a killed server left in halves", () =>
    withLog((path) =>
      Effect.gen(function*() {
        yield* Effect.flatMap(Sequencer, (sequencer) => sequencer.pause)
        damage(path, sealsAt(path).slice(0, 1))
        const position = yield* Effect.scoped(Effect.map(Subscriber.open(Lines), (subscriber) => subscriber.position()))
        assert.strictEqual(position, 0)
      })
    ))

  it.live("it attaches when the line is whole again", () =>
    withLog((path) =>
      Effect.gen(function*() {
        damage(path, sealsAt(path))
        const position = yield* Effect.scoped(Effect.map(Subscriber.open(Lines), (subscriber) => subscriber.position()))
        assert.strictEqual(position, 0)
      })
    ))
})
