/**
 * The native protocols under many more schedules than `explore.test.ts` has time for.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { build, explore } from "./explorer.ts"

describe.runIf(process.platform === "linux")("the explorer, for longer", () => {
  beforeAll(build, 600_000)

  // Too many for all of them: those that these seconds have room for, for each configuration. Without a limit they are
  // all made (`npm run explore -- --protocol ring --deviations 2`), which takes from minutes to hours.
  for (
    const [protocol, seconds] of [
      ["ring", 1],
      ["claims", 20],
      ["region", 20],
      ["log", 1],
      ["lanes", 1],
      [
        "takeover",
        1
      ],
      ["identity", 1],
      ["replicas", 1],
      ["cursors", 1]
    ] as const
  ) {
    it(`finds no schedule of up to two deviations that breaks the protocol: ${protocol}`, { timeout: 900_000 }, () => {
      const parameters = ["--deviations", "2", "--random", "2000", "--seconds", `${seconds}`]
      const { output, status } = explore("--protocol", protocol, ...parameters)
      assert.strictEqual(status, 0, output)
    })
  }

  for (const protocol of ["ring", "log", "lanes", "takeover", "identity", "replicas", "cursors"]) {
    it(`finds no schedule that breaks it on memory that must be flushed: ${protocol}`, { timeout: 300_000 }, () => {
      const parameters = ["--model", "lines", "--deviations", "1", "--random", "20"]
      const { output, status } = explore("--protocol", protocol, ...parameters)
      assert.strictEqual(status, 0, output)
    })
  }

  it("executes each site of the protocols, or says why not", { timeout: 900_000 }, () => {
    const { output, status } = explore("--sites")
    assert.strictEqual(status, 0, output)
  })

  it("finds a missing fence on either side of a sleep", { timeout: 1_800_000 }, () => {
    const { output, status } = explore("--mutants", "--site", "Waiter::arm, fullFence|Region::wakeProcesses, fullFence")
    assert.strictEqual(status, 0, output)
    assert.match(output, /^2 sites, 2 mutants: 2 found/m)
  })

  // Of each verb and fault at least one; npm run explore -- --mutants has all.
  for (
    const [model, count, sites] of [
      ["weak", 17, [
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
