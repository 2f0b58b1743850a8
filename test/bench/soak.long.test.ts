/**
 * The soaks at test sizes: they run, and report completely.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { run } from "../programs/harness.ts"
import { runEntry } from "../programs/snippet.ts"

describe.skipIf(process.platform !== "linux")("soak-log", () => {
  it.live("carries everything, in order, right to the last byte, in bounded memory", () =>
    Effect.gen(function*() {
      const { code, stderr, text } = yield* runEntry("bench/soak/log", ["--mib", "128", "--json"])
      assert.strictEqual(code, 0, stderr)
      const report = JSON.parse(text)
      assert.deepInclude(report, { program: "soak-log", passed: true, records: 128 * 1024, drops: 0, duplicates: 0 })
      assert.isTrue(report.checks.every(({ holds }: { readonly holds: boolean }) => holds))
      assert.lengthOf(report.checks, 7)
      assert.deepStrictEqual(
        report.memory.map((row: { readonly process: string }) => row.process),
        ["serve", "publisher-0", "publisher-1", "subscriber-0"]
      )
      for (const { boundBytes, peakResidentBytes } of report.memory) {
        assert.isAbove(peakResidentBytes, 0)
        assert.isBelow(peakResidentBytes, boundBytes)
      }
    }))

  it.live("refuses an invalid size", () =>
    Effect.gen(function*() {
      const { code, stderr } = yield* runEntry("bench/soak/log", ["--gib", "0"])
      assert.strictEqual(code, 2)
      assert.match(stderr, /0 is not between 1 and/)
    }))
})

describe.skipIf(process.platform !== "linux")("soak-fence", () => {
  const rounds = 24

  it.live("S10 lets processes and fibers meet, in both forms, and misses nothing", () =>
    Effect.gen(function*() {
      const { code, stderr, text } = yield* runEntry("bench/soak/fence", ["--rounds", `${rounds}`, "--json"])
      assert.strictEqual(code, 0, stderr)
      const report = JSON.parse(text)
      assert.deepInclude(report, { program: "soak-fence", passed: true, mode: "deliveryFence", drain: "on" })
      assert.deepStrictEqual(
        report.runs.map((
          run: Record<string, unknown>
        ) => [run["backend"], run["form"], run["handled"], run["missing"]]),
        ["processes", "in memory"].flatMap((backend) =>
          ["start", "contiguity"].map((form) => [backend, form, 3 * 3 * 8 * rounds, 0])
        )
      )
    }))

  it.live("S10 fails, and says what is missing, in every run without draining", () =>
    Effect.gen(function*() {
      const { code, stderr, text } = yield* runEntry("bench/soak/fence", ["--rounds", "8", "--drain", "off", "--json"])
      assert.strictEqual(code, 1)
      assert.match(stderr, /processes, a rendezvous at the start: messages sent before a barrier are delivered/)
      const { passed, runs } = JSON.parse(text)
      assert.isFalse(passed)
      assert.lengthOf(runs, 4)
      for (const { handled, missing } of runs) {
        assert.isAbove(missing, 0)
        // The messages are late, but not lost.
        assert.strictEqual(handled, 3 * 3 * 8 * 8)
      }
    }))
})

describe.skipIf(process.platform !== "linux")("soak-calls", () => {
  it.live("calls, looks at the memory of both ends, and finds that nothing is left of the calls", () =>
    Effect.gen(function*() {
      const { code, stderr, text } = yield* runEntry("bench/soak/calls", [
        "--calls",
        "3000",
        "--every",
        "1000",
        "--json"
      ])
      assert.strictEqual(code, 0, stderr)
      const report = JSON.parse(text)
      assert.deepInclude(report, { program: "soak-calls", passed: true, calls: 3000 })
      assert.lengthOf(report.checks, 3)
      assert.deepStrictEqual(
        report.samples.map(({ calls, collected }: Record<string, unknown>) => [calls, collected]),
        [[1000, false], [1000, true], [2000, false], [3000, false], [3000, true]]
      )
      for (const { client, server } of report.samples) {
        for (const { heapBytes, residentBytes } of [client, server]) assert.isAbove(residentBytes, heapBytes)
      }
    }))
})

describe.skipIf(process.platform !== "linux")("bench log", () => {
  it.live("measures the log beside the copy limit, and compares the sums of all bytes", () =>
    Effect.gen(function*() {
      const { code, stderr, text } = yield* run(["log", "--only", "limit", "--mib", "16", "--json"], {
        program: "bench/main.ts"
      })
      assert.strictEqual(code, 0, stderr)
      const report = JSON.parse(text)
      assert.deepStrictEqual(report.disagreeing, [])
      const [[group]] = report.rounds
      const [before, log, after] = group.values
      assert.deepStrictEqual([before.key, log.key, after.key], ["copy, before", "log", "copy, after"])
      assert.strictEqual(log.log.sums.seen, log.log.sums.published)
      assert.match(log.log.sums.seen, /^[0-9a-f]{16}$/)
      assert.notMatch(log.log.sums.seen, /^0+$/)
      for (const { gigabytesPerSecond } of group.values) assert.isAbove(gigabytesPerSecond, 0)
      assert.isBelow(log.log.heapBytesPerRecord, 16, "offer allocates for each message")
      assert.isAbove(report.environment.cores, 0)
    }))
})
