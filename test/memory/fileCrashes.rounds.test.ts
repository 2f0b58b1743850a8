/**
 * The files of a replica through random crashes of the process and the machine, with failing writes and syncs between.
 * RINGFENCE_SEED chooses other ones, RINGFENCE_RUNS how many times a hundred.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { setImmediate } from "node:timers/promises"
import { sizes } from "../../src/layers/files/format/layout.ts"
import type { SimulatedDisk } from "../../src/layers/memory/files/SimulatedDisk.ts"
import type { Disk, DiskFile } from "../../src/layers/ports/Disk.ts"
import { runCrashes } from "../model/filesCrashes.ts"
import { histories } from "../rounds.ts"

const seed = Number(process.env["RINGFENCE_SEED"] ?? 1)
const crashesOfRun = 100

describe(`the files of a replica, crashed at random (seed ${seed})`, () => {
  it(
    "E16 crashed between write and sync they lose nothing that was told as durable, and can always be opened",
    async () => {
      const runs = histories(100, 300)
      let [commits, failures, read, ahead] = [0, 0, 0, 0]
      for (let i = 0; i < runs; i += 1) {
        const run = runCrashes(seed + i, crashesOfRun)
        commits += run.commits
        failures += run.failures
        read += run.read
        ahead += run.ahead
        // A run is one step of the event loop, which vitest needs too.
        await setImmediate()
      }
      console.log(
        `${
          runs * crashesOfRun
        } crashes, ${commits} commits, ${ahead} writes ahead of one, ${failures} failures, ${read} batches read again`
      )
      assert.isAbove(ahead, crashesOfRun * runs / 2)
      assert.isAbove(commits, crashesOfRun * runs / 2)
      assert.isAbove(failures, 10 * runs)
    },
    600_000
  )

  // The test sees what it is there for: each of these faults is planted between the files and the disk.
  it.each([
    ["a group that is reported as durable without a sync", ofFiles(syncedOnce)],
    ["a name that is reported as durable without a sync", unsynced],
    ["a cut before the last commit block", ofFiles(cutShort)]
  ])("finds %s", (_, fault) => {
    assert.throws(() => {
      for (let i = 0; i < 20; i += 1) runCrashes(seed + i, crashesOfRun, fault)
    }, /are lost|is damaged/)
  })
})

/** A disk whose files are others. */
function ofFiles(change: (file: DiskFile) => DiskFile): (disk: SimulatedDisk) => Disk {
  return (disk) => ({ ...operations(disk), open: (path, mode) => Effect.map(disk.open(path, mode), change) })
}

function unsynced(disk: SimulatedDisk): Disk {
  return { ...operations(disk), syncDirectory: () => Effect.void }
}

function operations({ list, makeDirectory, open, remove, rename, syncDirectory }: SimulatedDisk): Disk {
  return { list, makeDirectory, open, remove, rename, syncDirectory }
}

/** Of a segment only the first group becomes durable. */
function syncedOnce(file: DiskFile): DiskFile {
  let calls = 0
  return {
    ...file,
    sync: Effect.suspend(() => {
      calls += 1
      return calls > 1 && file.path.includes(".segment") ? Effect.void : file.sync
    })
  }
}

function cutShort(file: DiskFile): DiskFile {
  return { ...file, truncate: (size) => file.truncate(size - sizes.commit) }
}
