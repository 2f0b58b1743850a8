/**
 * The suites of a replica's files, over the simulated disk.
 */
import * as Effect from "effect/Effect"
import { SimulatedDisk } from "../../src/layers/memory/files/SimulatedDisk.ts"
import type { DiskBackend } from "../suites/files/disks.ts"
import { failing } from "../suites/files/failing.ts"
import { writing } from "../suites/files/writing.ts"
import { writingAhead } from "../suites/files/writingAhead.ts"

const backend: DiskBackend = {
  name: "simulated disk",
  make: Effect.gen(function*() {
    const disk = new SimulatedDisk({ random: Math.random })
    yield* Effect.orDie(disk.makeDirectory("/data"))
    return { disk, dir: "/data" }
  })
}

writing(backend)
writingAhead(backend)
failing()
