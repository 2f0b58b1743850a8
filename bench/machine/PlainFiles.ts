/**
 * Plain writers of files: what a device can sync, without a log. Each appends groups of bytes to a file of its own, and
 * syncs each group before the next.
 */
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { mkdir, open } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DiskError } from "../../src/layers/ports/Disk.ts"
import * as Histogram from "../../src/programs/measure/histogram.ts"
import type { Percentiles } from "../../src/programs/measure/latency.ts"
import { monotonicMillis } from "../../src/programs/measure/monotonic-clock.ts"

export interface PlainFilesOptions {
  /** One writer for each; on the device of the temporary folder (`TMPDIR`). */
  readonly dirs: ReadonlyArray<string>
  /** Of each writer. */
  readonly totalBytes: number
  readonly groupBytes: number
}

export interface PlainFilesWritten {
  /** Until the last writer has synced its last group. */
  readonly seconds: number
  /** Over all writers. */
  readonly syncMicros: Percentiles
}

/** A new temporary folder, removed with the scope. */
export const folder = Effect.acquireRelease(
  Effect.try({
    try: () => mkdtempSync(join(tmpdir(), "ringfence-bench-")),
    catch: failing("make directory", tmpdir())
  }),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

export const write = Effect.fnUntraced(function*({ dirs, groupBytes, totalBytes }: PlainFilesOptions) {
  const group = new Uint8Array(groupBytes).fill(1)
  const syncs = Histogram.make()
  const began = monotonicMillis()
  yield* Effect.forEach(
    dirs,
    (dir) =>
      Effect.tryPromise({ try: () => writeGroups(dir, group, totalBytes, syncs.record), catch: failing("write", dir) }),
    { concurrency: "unbounded", discard: true }
  )
  const written: PlainFilesWritten = { seconds: (monotonicMillis() - began) / 1000, syncMicros: syncs.percentiles() }
  return written
})

// --- internal ---

function failing(op: DiskError["op"], path: string): (error: unknown) => DiskError {
  return (error) => new DiskError({ op, path, code: hasCode(error) ? error.code : String(error) })
}

const hasCode = (error: unknown): error is { readonly code: string } =>
  error instanceof Error && "code" in error && typeof error.code === "string"

const writeGroups = async (dir: string, group: Uint8Array, totalBytes: number, synced: (micros: number) => void) => {
  await mkdir(dir)
  await using file = await open(join(dir, "plain"), "wx")
  for (let left = totalBytes; left > 0; left -= group.length) {
    await file.writeFile(group.subarray(0, left))
    const began = monotonicMillis()
    await file.datasync()
    synced((monotonicMillis() - began) * 1000)
  }
}
