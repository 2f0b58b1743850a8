/**
 * The suites of a replica's files, over the disk of this machine.
 */
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { nodeDisk } from "../../src/layers/node/NodeDisk.ts"
import type { DiskBackend } from "../suites/files/disks.ts"
import { writing } from "../suites/files/writing.ts"
import { writingAhead } from "../suites/files/writingAhead.ts"

const backend: DiskBackend = {
  name: "disk of this machine",
  make: Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "ringfence-files-"))),
      (dir) => Effect.sync(() => rmSync(dir, { recursive: true }))
    ),
    (dir) => ({ disk: nodeDisk, dir })
  )
}

writing(backend)
writingAhead(backend)
