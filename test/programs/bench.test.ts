/**
 * `ringfence bench` at a test size: it runs all its measurements, and leaves nothing. Its figures mean nothing here.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { childrenOf, filesOf, isAlive, run, start, untilTrue } from "./harness.ts"

const minute = 60_000

describe.skipIf(process.platform !== "linux")("bench", () => {
  it.live(
    "measures the log, round trips, calls and barriers, and says so as a table or as JSON",
    () =>
      Effect.gen(function*() {
        const { code, stderr, text } = yield* run(["bench", "--scale", "0.005", "--json"], { patience: "50 seconds" })
        assert.strictEqual(code, 0, stderr)
        const { measured } = JSON.parse(text) as { readonly measured: ReadonlyArray<Readonly<Record<string, unknown>>> }
        assert.deepStrictEqual(measured.map(({ name }) => name), [
          "throughput",
          "acknowledgement",
          "throughput, order none",
          "round trip, spinning",
          "round trip, asleep",
          "call, spinning",
          "call, asleep",
          "barrier"
        ])
        for (const { latency, name, what, ...figures } of measured) {
          assert.isNotEmpty(what)
          if ("p50Micros" in figures) assert.match(String(latency), /^HISTF/)
          for (const value of Object.values(figures)) assert.isAbove(value as number, 0, String(name))
        }
      }),
    minute
  )

  it.live("measures one thing alone", () =>
    Effect.gen(function*() {
      const { code, stderr, text } = yield* run(["bench", "--only", "barrier", "--scale", "0.005"])
      assert.strictEqual(code, 0, stderr)
      assert.match(text, /^barrier +p50 [\d.,]+ .s, p99 [\d.,]+ .s +a delivery fence of 4 processes/m)
      assert.notMatch(text, /throughput/)
    }), minute)

  it.live("refuses what it does not know", () =>
    Effect.gen(function*() {
      const unknown = yield* run(["bench", "--only", "nothing"])
      assert.match(unknown.stderr, /log.*round-trip.*call.*barrier/)
      const none = yield* run(["bench", "--scale", "0"])
      assert.match(none.stderr, /0 is not above 0 and at most 1,000/)
      assert.deepStrictEqual([unknown.code, none.code], [2, 2])
    }))

  it.live("ends cleanly when it is interrupted, and takes its children with it", () =>
    Effect.gen(function*() {
      const program = yield* start(["bench", "--scale", "100"])
      yield* untilTrue("children at work", () => childrenOf(program.pid).length === 2)
      const children = childrenOf(program.pid)
      program.signal("SIGINT")
      assert.strictEqual(yield* program.code, 130)
      yield* untilTrue("the children's end", () => children.every(({ pid }) => !isAlive(pid)))
      assert.deepStrictEqual(filesOf(`bench-${program.pid}`), [])
    }), minute)
})
