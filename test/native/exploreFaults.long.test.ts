/**
 * What the explorer must find: planted defects, and faults at verbs; and that schedules execute every site. A file of its own,
 * so that it runs beside `explore.long.test.ts`.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { build, explore } from "./explorer.ts"

describe.runIf(process.platform === "linux")("what the explorer finds, for longer", () => {
  beforeAll(build, 600_000)

  it("finds each defect that is planted", { timeout: 900_000 }, () => {
    const { output, status } = explore("--defects", "--seconds", "12")
    assert.strictEqual(status, 0, output)
  })

  it("executes each site of the protocols, or says why not", { timeout: 900_000 }, () => {
    const { output, status } = explore("--sites")
    assert.strictEqual(status, 0, output)
  })

  // Of each verb and fault at least one; npm run explore -- --mutants has all.
  for (
    const [model, count, sites] of [
      ["weak", 19, [
        // a missing fence on either side of a sleep
        "Waiter::arm, fullFence",
        "Region::wakeProcesses, fullFence",
        "takeReader, write RingReaderClaim",
        "claimRingReader, fullFence",
        "named, observe RingName.naming",
        "giveName, publish RingName.naming (3)",
        "ringBell, ring BellLine.bell",
        "RingReader::attach, ring RingTable",
        "RingReader::evicted, loadFence",
        "RingWriter::evict, write RingReaderFate",
        "RingWriter::evict, fullFence",
        "RingReader::writeLine, write RingReaderLine"
      ]],
      ["lines", 9, [
        "LaneWriter::publish, wrote Descriptor",
        "LaneWriter::publish, write ProducerLine",
        "LaneWriter::ready, willRead GrantLine",
        "commit, write IndexEntry",
        "written, willRead RingClaim.generation",
        "RingWriter::evict, publish RingReaderFate",
        "Waiter::arm, write SleepLine",
        "Region::publishFile, storeFence"
      ]]
    ] as const
  ) {
    it(`finds mutants over the model of memory: ${model}`, { timeout: 900_000 }, () => {
      const { output, status } = explore("--mutants", "--model", model, "--seconds", "3", "--site", sites.join("|"))
      assert.strictEqual(status, 0, output)
      assert.match(output, new RegExp(`mutants: ${count} found`), output)
    })
  }
})
