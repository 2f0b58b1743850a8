/**
 * All programs print numbers in one format, from one module.
 */
import { assert, describe, it } from "@effect/vitest"
import { inModule } from "./snippet.ts"

describe("quantities", () => {
  it("writes sizes, counts and times in one way each", () => {
    const written = inModule(
      "src/programs/cli/units",
      `return [
        [0, 1, 1023, 65536, 1.5 * 2 ** 20, 2 ** 30].map(module.formatBytes),
        [0, 1, 1000, 1234567].map(module.formatCount),
        [0.0005, 1.5, 1500, 30_000].map(module.formatMillis),
        [0.25, 90].map(module.formatSeconds),
        [module.plural(1, "record"), module.plural(2000, "record"), module.plural(2, "batch", "batches")]
      ]`
    )
    assert.deepStrictEqual(written, [
      ["0 bytes", "1 byte", "1,023 bytes", "64 KiB", "1.5 MiB", "1 GiB"],
      ["0", "1", "1,000", "1,234,567"],
      ["0.5 µs", "1.50 ms", "1.50 s", "30.00 s"],
      ["250.0 ms", "90.00 s"],
      ["1 record", "2,000 records", "2 batches"]
    ])
  })

  it("says counts and times of a server's events in that way", () => {
    const said = inModule(
      "src/programs/serve/events",
      `return module.describeEvent({
        _tag: "SessionGap", sessionId: 1, topic: "lines", batch: 4, broker: 1, sinceMillis: 1500, held: 1200
      })`
    )
    assert.strictEqual(
      said,
      "session 1 of \"lines\" waits for its batch 4 on broker 1 for 1.50 s, 1,200 held behind it"
    )
  })
})
