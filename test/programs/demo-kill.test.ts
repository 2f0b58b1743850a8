/**
 * The demonstration with a process killed on the way: every byte is verified all the same, also by the process that is
 * started again.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { childrenOf, filesOf, isAlive, run, start, untilTrue } from "./harness.ts"

interface Report {
  readonly passed: boolean
  readonly records: number
  readonly drops: number
  readonly duplicates: number
  readonly killed: { readonly name: string; readonly acknowledged: number; readonly pauseMillis: number }
  readonly sessions: ReadonlyArray<
    {
      readonly mac: string
      readonly subscribers: ReadonlyArray<{ readonly subscriber: string; readonly mac: string }>
    }
  >
}

const killing = (what: string, ...args: ReadonlyArray<string>) =>
  run(["demo", "--min-bytes", "16MiB", "--kill", what, "--json", ...args], { patience: "60 seconds" })

const minute = 60_000

describe.skipIf(process.platform !== "linux")("demo --kill", () => {
  it.live.each(["sequencer@30%", "sequencer@0%", "sequencer@99.9%", "publisher@30%", "publisher@0%", "subscriber@30%"])(
    "%s: every byte is verified, and the pause is reported",
    (what) =>
      Effect.gen(function*() {
        const { code, stderr, text } = yield* killing(what)
        assert.strictEqual(code, 0, stderr)
        const [role, percent = ""] = what.split("@")
        assert.include(stderr, `once ${percent.replace("%", " %")} is acknowledged`)
        const { drops, duplicates, killed, passed, records, sessions } = JSON.parse(text) as Report
        assert.deepStrictEqual({ passed, drops, duplicates }, { passed: true, drops: 0, duplicates: 0 })
        assert.strictEqual(killed.name, role === "sequencer" ? "server-0" : `${role}-0`)
        assert.isAtLeast(killed.acknowledged, Math.min(records * Number.parseFloat(percent) / 100, records - 2))
        assert.isBelow(killed.acknowledged, records)
        assert.isAtMost(killed.acknowledged, records * (Number.parseFloat(percent) / 100 + 0.06))
        assert.isAbove(killed.pauseMillis, 0)
        for (const { mac, subscribers } of sessions) {
          assert.deepStrictEqual(subscribers.map((seen) => [seen.subscriber, seen.mac]), [
            ["subscriber-0", mac],
            ["subscriber-1", mac]
          ])
        }
      }),
    minute
  )

  it.live(
    "says to people who was killed, when, and how long the acknowledgements paused",
    () =>
      Effect.gen(function*() {
        const args = ["demo", "--min-bytes", "8MiB", "--kill", "sequencer@30%"]
        const { code, stderr, text } = yield* run(args, { patience: "60 seconds" })
        assert.strictEqual(code, 0, stderr)
        assert.match(
          text,
          /^✓ the log goes on after the kill: server-0 \(pid \d+\) was killed with [\d.]+ % acknowledged, and the next acknowledgement came after [\d.]+ m?s$/m
        )
        assert.strictEqual(text.match(/^✓ /gm)?.length, 8)
      }),
    minute
  )

  it.live("refuses what it cannot kill before anything starts", () =>
    Effect.gen(function*() {
      for (const what of ["sequencer@100%", "sequencer@30", "broker@30%", "sequencer"]) {
        const wrong = yield* run(["demo", "--kill", what])
        assert.match(wrong.stderr, /is not sequencer, publisher, subscriber, replica and a percentage below 100/)
        assert.strictEqual(wrong.code, 2)
      }
      const much = yield* run(["demo", "--kill", "subscriber@50%", "--min-bytes", "1TiB"])
      assert.match(
        much.stderr,
        /--kill: the log would keep .* for the subscriber that is started again, and has room for/
      )
      assert.strictEqual(much.code, 2)
    }))

  it.live("ends cleanly when it is interrupted, and takes server and standby with it", () =>
    Effect.gen(function*() {
      const program = yield* start(["demo", "--min-bytes", "64GiB", "--kill", "sequencer@99%"])
      const commands = () => childrenOf(program.pid).map(({ command }) => command)
      yield* untilTrue("all children", () => commands().length === 6)
      const children = childrenOf(program.pid)
      program.signal("SIGINT")
      assert.strictEqual(yield* program.code, 130)
      yield* untilTrue("the children's end", () => children.every(({ pid }) => !isAlive(pid)))
      assert.deepStrictEqual(filesOf(`demo-${program.pid}`), [])
    }), minute)
})
