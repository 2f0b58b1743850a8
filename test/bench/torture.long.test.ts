/**
 * The torture at the length of a test: every kind of fault, and no broken promise; and what is planted below replicas and
 * readers is found by its name.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { rmSync } from "node:fs"
import { runEntry } from "../programs/snippet.ts"

const torture = (args: ReadonlyArray<string>) => runEntry("bench/torture/main", [...args, "--json"], "10 minutes")

interface Report {
  readonly checks: ReadonlyArray<{ readonly name: string; readonly holds: boolean }>
}

/** Each with the promises that it breaks: of several at least one, by what had happened when the fault struck. */
const planted: ReadonlyArray<readonly [plant: string, ...promises: ReadonlyArray<string>]> = [
  ["unsynced", "no record is acknowledged as durable before each replica has synced it"],
  ["cursor", "a cursor never goes back behind its last commit, over a restore its last durable one"],
  ["cut", "the files of a replica have the order from its beginning, without damage"],
  [
    "reused",
    "a restored log has each durable acknowledgement, in a new term",
    "what was read as durable is in the restored log, where it was",
    "an identity goes on where it was committed, and never goes back"
  ],
  ["unproven", "each record is read as it was written"],
  ["kept", "a lapped reader misses only what memory had dropped"]
]

describe.skipIf(process.platform !== "linux")("torture", () => {
  it.live("60 s of kills, stops and restarts of every part: every promise holds", () =>
    Effect.gen(function*() {
      const { code, stderr, text } = yield* torture(["--seconds", "60"])
      assert.strictEqual(code, 0, `${stderr}\n${text}`)
      const report = JSON.parse(text)
      assert.deepInclude(report, { program: "torture", passed: true })
      assert.isAbove(report.records, 0)
      assert.isAbove(report.missed.gaps, 0)
      for (const { kind, times } of report.faults) assert.isAbove(times, 0, kind)
    }), 610_000)

  it.live.each(planted)("a planted fault is found by its name: %s", ([plant, ...promises]) =>
    Effect.gen(function*() {
      const { code, stderr, text } = yield* torture(["--seconds", "1", "--plant", plant])
      const journals = /is in (\/.*\/ringfence-torture-\w+)$/m.exec(stderr)?.[1]
      if (journals !== undefined) rmSync(journals, { recursive: true })
      assert.strictEqual(code, 1, `${stderr}\n${text}`)
      const { checks } = JSON.parse(text) as Report
      assert.isTrue(checks.some(({ holds, name }) => !holds && promises.includes(name)), stderr)
    }), 610_000)
})
