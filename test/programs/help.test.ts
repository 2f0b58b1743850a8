/**
 * The help, the version, and the source of each setting.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { defaultFrom } from "../../src/services/Subscriber.ts"
import { run } from "./harness.ts"

describe("help", () => {
  it.live("shows the commands, how to start, and the exit codes", () =>
    Effect.gen(function*() {
      for (const args of [["--help"], []]) {
        const { code, stderr, text } = yield* run(args)
        assert.strictEqual(code, 0)
        assert.strictEqual(stderr, "")
        for (
          const command of ["serve", "publish", "subscribe", "replica", "swarm", "doctor", "files", "demo", "bench"]
        ) {
          assert.match(text, new RegExp(`^  ${command} {2,}\\S`, "m"))
        }
        assert.match(text, /ringfence serve --topic lines/)
        assert.match(text, /Exit codes: 0 ok, .* 130 interrupted, 143 terminated/)
      }
    }))

  it.live("shows every command's flags with their defaults, and examples", () =>
    Effect.gen(function*() {
      const flags = {
        serve: ["--region name", "--brokers", "--lane-bytes size", "--mode octal", "--prefault", "--topic name"],
        publish: [
          "<topic>",
          "[<paths...>]",
          "--record-bytes size",
          "--order",
          "--ack",
          "--linger time",
          "--deadline time"
        ],
        subscribe: ["<topic>", "--from start|end|position", "--follow, -f", "--record-separator", "--count", "--raw"],
        replica: ["<dir>", "--peer directory", "--durable-copies", "--server-deadline time"],
        swarm: ["--region name", "--name name", "--coordinator", "--standby", "--spawn count", "--invited-only"],
        doctor: ["--repair", "--json", "--path file"]
      }
      for (const [command, wanted] of Object.entries(flags)) {
        const { code, text } = yield* run([command, "--help"])
        assert.strictEqual(code, 0)
        for (const flag of wanted) assert.include(text, flag)
        assert.match(text, /\(default: .*; or RINGFENCE_JSON\)/)
        assert.match(text, new RegExp(`EXAMPLES\\n[^]*ringfence ${command}`))
      }
    }))

  it.live("offers only the levels that are served, and begins to read where the API does", () =>
    Effect.gen(function*() {
      const { text } = yield* run(["publish", "--help"])
      assert.match(text, /--order choice .*\(choices: session, total, none\)/)
      assert.match(text, /--ack choice .*\(choices: ordered, durable, none\)/)
      assert.match(
        (yield* run(["serve", "--help"])).text,
        /\(order: session, total, none; ack: ordered, durable, none\)/
      )
      assert.include((yield* run(["subscribe", "--help"])).text, `(default: ${String(defaultFrom)};`)
    }))

  it.live("takes flags over the environment over defaults, and says so", () =>
    Effect.gen(function*() {
      const env = {
        RINGFENCE_BROKERS: "3",
        RINGFENCE_CLIENTS: "5",
        RINGFENCE_LANE_BYTES: "1MiB",
        RINGFENCE_PREFAULT: "false"
      }
      const args = ["serve", "--brokers", "2", "--print-config", "--json"]
      const report: { settings: ReadonlyArray<{ setting: string; value: unknown; from: string }> } = JSON.parse(
        (yield* run(args, { env })).text
      )
      const found = Object.fromEntries(report.settings.map(({ from, setting, value }) => [setting, [value, from]]))
      assert.deepStrictEqual(found["brokers"], [2, "flag"])
      assert.deepStrictEqual(found["clients"], [5, "environment"])
      assert.deepStrictEqual(found["lane-bytes"], [1024 * 1024, "environment"])
      assert.deepStrictEqual(found["prefault"], [false, "environment"])
      assert.deepStrictEqual(found["mode"], ["600", "default"])
      const { text } = yield* run(["publish", "x", "--deadline", "2s", "--print-config"])
      assert.match(text, /^deadline +2s +from --deadline$/m)
      assert.match((yield* run(["--version"])).text, /^ringfence v\d+\.\d+\.\d+\n$/)
    }))
})
