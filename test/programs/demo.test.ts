/**
 * The demonstration as its users run it: its checksums are compared with the input, and its checks are seen to fail.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createCipheriv, randomBytes } from "node:crypto"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { childrenOf, filesOf, folder, isAlive, type Program, run, start, untilTrue } from "./harness.ts"

interface Report {
  readonly passed: boolean
  readonly records: number
  readonly bytes: number
  readonly drops: number
  readonly duplicates: number
  readonly ackLatencyMicros: { readonly samples: number; readonly p50: number; readonly p99: number }
  readonly brokers: ReadonlyArray<{ readonly records: number; readonly acknowledged: number }>
  readonly checks: ReadonlyArray<{ readonly name: string; readonly holds: boolean }>
  readonly input: { readonly files: number; readonly bytes: number; readonly passes: number }
  readonly sessions: ReadonlyArray<
    {
      readonly records: number
      readonly mac: string
      readonly subscribers: ReadonlyArray<{ readonly mac: string }>
    }
  >
  readonly wholeOrder: ReadonlyArray<{ readonly mac: string }>
  readonly macKey: string
  readonly copyGigabytesPerSecond: number
}

const macOf = (key: string, bytes: Uint8Array): string => {
  const cipher = createCipheriv("aes-128-gcm", Buffer.from(key, "hex"), Buffer.alloc(12)).setAAD(bytes)
  cipher.final()
  return cipher.getAuthTag().toString("hex")
}

const sumOf = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0)

const regionOf = (program: Program): ReadonlyArray<string> => filesOf(`demo-${program.pid}`)

/** A run that is still busy long after its children have started. */
const longRun = Effect.gen(function*() {
  const program = yield* start(["demo", "--min-bytes", "64GiB", "--publishers", "1", "--subscribers", "1"])
  yield* untilTrue("both children at work", () => {
    const commands = childrenOf(program.pid).map(({ command }) => command)
    return commands.some((command) => command.includes("demo/publisher"))
      && commands.some((command) => command.includes("demo/subscriber"))
  })
  return program
})

describe.skipIf(process.platform !== "linux")("demo", () => {
  it.live("carries files of every size and proves it with checksums of their bytes", () =>
    Effect.gen(function*() {
      const files = yield* folder
      mkdirSync(join(files, "b/c"), { recursive: true })
      const contents = [randomBytes(3_000_001), randomBytes(1), Buffer.from("text\n")]
      writeFileSync(join(files, "a"), contents[0] as Buffer)
      writeFileSync(join(files, "b/c/one"), contents[1] as Buffer)
      writeFileSync(join(files, "b/empty"), "")
      writeFileSync(join(files, "d"), contents[2] as Buffer)
      symlinkSync("nowhere", join(files, "link"))
      const { code, stderr, text } = yield* run([
        "demo",
        files,
        "--record-bytes",
        "777",
        "--min-bytes",
        "8MiB",
        "--json"
      ])
      assert.strictEqual(code, 0, stderr)
      const report = JSON.parse(text) as Report
      const input = Buffer.concat(Array.from({ length: report.input.passes }, () => contents).flat())
      const middle = 777 * Math.floor(Math.ceil(input.length / 777) / 2)
      const expected = [input.subarray(0, middle), input.subarray(middle)].map((share) => macOf(report.macKey, share))
      assert.deepStrictEqual(report.sessions.map((session) => session.mac), expected)
      for (const { mac, subscribers } of report.sessions) {
        assert.deepStrictEqual(subscribers, subscribers.map((seen) => ({ ...seen, mac })))
      }
      assert.deepInclude(report, { passed: true, records: Math.ceil(input.length / 777), drops: 0, duplicates: 0 })
      assert.deepStrictEqual([report.input.files, report.input.passes], [3, 3])
      assert.strictEqual(new Set(report.wholeOrder.map((seen) => seen.mac)).size, 1)
      assert.isAbove(report.copyGigabytesPerSecond, 0)
      assert.strictEqual(sumOf(report.brokers.map(({ acknowledged }) => acknowledged)), report.records)
      assert.isAbove(Math.min(...report.brokers.map(({ records }) => records)), 0)
      assert.isAbove(report.ackLatencyMicros.samples, 0)
    }))

  it.live("shows the report to people, with batches arriving out of order", () =>
    Effect.gen(function*() {
      const { code, stderr, text } = yield* run(["demo", "--min-bytes", "8MiB", "--skew", "5ms"])
      assert.strictEqual(code, 0, stderr)
      assert.match(stderr, /region .*\/dev\/shm\/ringfence-demo-\d+, .* are free there/)
      assert.match(text, /acknowledged\s+\d/)
      assert.match(text, /p50 .* p99 .* p99\.9 /)
      assert.strictEqual(text.match(/^✓ /gm)?.length, 7)
      assert.notMatch(text, /✗/)
    }))

  it.live("carries them through memory that is flushed by instruction", () =>
    Effect.gen(function*() {
      const { code, stderr, text } = yield* run(["demo", "--min-bytes", "8MiB", "--coherence", "flushed"])
      assert.strictEqual(code, 0, stderr)
      assert.match(stderr, /region .*, flushed; .* are free there/)
      assert.strictEqual(text.match(/^✓ /gm)?.length, 7)
    }))

  it.live("fails its order check when the rule that holds early batches is switched off", () =>
    Effect.gen(function*() {
      const args = ["demo", "--min-bytes", "8MiB", "--skew", "5ms", "--unsafe-ignore-session-order", "--json"]
      const { code, stderr, text } = yield* run(args)
      assert.strictEqual(code, 1)
      assert.match(stderr, /each session arrives in order/)
      const failed = (JSON.parse(text) as Report).checks.filter(({ holds }) => !holds).map(({ name }) => name)
      assert.sameMembers(failed, ["each session arrives in order", "each session's content equals its input"])
    }))

  it.live("refuses what it cannot publish before anything starts", () =>
    Effect.gen(function*() {
      const files = yield* folder
      writeFileSync(join(files, "empty"), "")
      const missing = yield* run(["demo", join(files, "missing")])
      assert.strictEqual(missing.code, 2)
      assert.match(missing.stderr, /cannot read .*missing: it does not exist/)
      const empty = yield* run(["demo", files])
      assert.strictEqual(empty.code, 2)
      assert.match(empty.stderr, /all input is empty/)
      const large = yield* run(["demo", "--record-bytes", "1MiB"])
      assert.strictEqual(large.code, 2)
      assert.match(large.stderr, /--record-bytes: a record has at most [\d.]+ [KM]iB in a region of this size/)
      const many = yield* run(["demo", "--brokers", "33"])
      assert.strictEqual(many.code, 2)
      assert.match(many.stderr, /33 is not between 1 and 32/)
    }))

  it.live("ends cleanly when it is interrupted, and takes its children with it", () =>
    Effect.gen(function*() {
      const program = yield* longRun
      const children = childrenOf(program.pid)
      program.signal("SIGINT")
      assert.strictEqual(yield* program.code, 130)
      assert.deepStrictEqual(regionOf(program), [])
      for (const { pid } of children) assert.throws(() => process.kill(pid, 0))
    }))

  it.live("names the child that was killed", () =>
    Effect.gen(function*() {
      for (const role of ["publisher", "subscriber"]) {
        const program = yield* longRun
        const child = childrenOf(program.pid).find(({ command }) => command.includes(`demo/${role}`))
        process.kill(child?.pid ?? 0, "SIGKILL")
        assert.strictEqual(yield* program.code, 1)
        assert.include(program.stderr, `${role}-0 (pid ${child?.pid}) died: killed by SIGKILL`)
        assert.deepStrictEqual(regionOf(program), [])
      }
    }))

  it.live("leaves nothing that the next run does not remove when it is killed itself", () =>
    Effect.gen(function*() {
      const program = yield* longRun
      const children = childrenOf(program.pid)
      program.signal("SIGKILL")
      yield* program.ended
      yield* untilTrue("the children's end", () => children.every(({ pid }) => !isAlive(pid)))
      assert.strictEqual((yield* run(["demo", "--min-bytes", "1", "--publishers", "1", "--subscribers", "1"])).code, 0)
      assert.deepStrictEqual(regionOf(program), [])
    }))
})
