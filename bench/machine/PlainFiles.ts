/**
 * Plain files: what a device can sync and read, without a log. As many processes as there are replicas append groups of bytes
 * to a file each, and sync each group before the next.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { mkdir, open, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DiskError } from "../../src/layers/ports/Disk.ts"
import * as Histogram from "../../src/programs/measure/histogram.ts"
import { LatencyHistogram, type Percentiles } from "../../src/programs/measure/latency.ts"
import { type ChildProgram, programBeside } from "../../src/programs/processes/protocol.ts"
import * as Children from "../../src/programs/processes/spawn.ts"

const WriterJob = Schema.Struct({
  dir: Schema.String,
  totalBytes: Schema.Int,
  /** Written ahead of what is measured. */
  warmupBytes: Schema.Int,
  groupBytes: Schema.Int
})

const Written = Schema.Struct({
  beganMillis: Schema.Finite,
  endedMillis: Schema.Finite,
  cores: Schema.Finite,
  syncMicros: LatencyHistogram
})

export const PlainWriter: ChildProgram<typeof WriterJob.Type, typeof Written.Type> = {
  entry: programBeside(import.meta.url, "plain-writer"),
  job: WriterJob,
  result: Written
}

const ReaderJob = Schema.Struct({ paths: Schema.Array(Schema.String), chunkBytes: Schema.Int })

const Read = Schema.Struct({ bytes: Schema.Int, seconds: Schema.Finite })

export const PlainReader: ChildProgram<typeof ReaderJob.Type, typeof Read.Type> = {
  entry: programBeside(import.meta.url, "plain-reader"),
  job: ReaderJob,
  result: Read
}

export interface PlainFilesOptions extends Omit<typeof WriterJob.Type, "dir"> {
  /** One writer for each; on the device of the temporary folder (`TMPDIR`). */
  readonly dirs: ReadonlyArray<string>
  /** Runs once all of them are ready, before they begin. */
  readonly beginning: Effect.Effect<void, DiskError>
}

export interface PlainFilesWritten {
  /** From the first writer's first group to the last sync. */
  readonly seconds: number
  /** Used by all writers together. */
  readonly cores: number
  /** Over all writers. */
  readonly syncMicros: Percentiles
}

/** A new temporary folder, removed with the scope. */
export const folder = Effect.acquireRelease(
  Effect.try({
    try: () => mkdtempSync(join(tmpdir(), "ringfence-bench-")),
    catch: diskError("make directory", tmpdir())
  }),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A new file in a new folder, closed with the scope. */
export const newFile = (dir: string) =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: async () => {
        await mkdir(dir)
        return await open(join(dir, "plain"), "wx")
      },
      catch: diskError("open", dir)
    }),
    (file) => Effect.promise(() => file.close())
  )

export const write = Effect.fnUntraced(function*({ beginning, dirs, ...job }: PlainFilesOptions) {
  const writers = yield* Effect.forEach(dirs, (dir, i) => Children.spawn(PlainWriter, `plain-${i}`, { ...job, dir }))
  yield* Children.all(writers, ({ ready }) => ready)
  yield* beginning
  yield* Children.all(writers, ({ tell }) => tell("begin"))
  const results = yield* Children.all(writers, ({ result }) => result)
  yield* Children.end(writers)
  const began = Math.min(...results.map(({ beganMillis }) => beganMillis))
  const ended = Math.max(...results.map(({ endedMillis }) => endedMillis))
  const written: PlainFilesWritten = {
    seconds: (ended - began) / 1000,
    cores: results.reduce((sum, { cores }) => sum + cores, 0),
    syncMicros: Histogram.merged(results.map(({ syncMicros }) => syncMicros)).percentiles()
  }
  return written
}, Effect.scoped)

/** Reads the files one after the other, in a process of its own. */
export const read = Effect.fnUntraced(function*(paths: ReadonlyArray<string>) {
  const reader = yield* Children.started(PlainReader, "plain-reader", { paths, chunkBytes: readBytes })
  yield* reader.tell("begin")
  const found = yield* reader.result
  yield* Children.end([reader])
  return found
}, Effect.scoped)

/** Makes the system forget the files' bytes, which are on the disk: the next reader finds them there. */
export const dropPages = (paths: ReadonlyArray<string>): Effect.Effect<void, DiskError> =>
  Effect.forEach(paths, (path) =>
    Effect.try({
      try: () => void execFileSync("dd", [`if=${path}`, "iflag=nocache", "count=0", "status=none"]),
      catch: diskError("read", path)
    }), { discard: true })

/**
 * Fills that much of the page cache with a file that has no name, and returns what lets it go, at the latest at the end of the
 * scope. A virtual machine gives memory that is free for some seconds back to its host, and what it takes again costs many times
 * what a write does. So files that are measured must find memory that was in use until just before, or those of the
 * measurement that takes longer to begin pay for it.
 */
export const warmPages = Effect.fnUntraced(function*(dir: string, bytes: number) {
  const path = join(dir, "pages")
  const file = yield* Effect.acquireRelease(
    Effect.tryPromise({ try: () => open(path, "wx"), catch: diskError("open", path) }),
    (file) => Effect.promise(() => file.close())
  )
  const chunk = new Uint8Array(4 * 1024 * 1024).fill(1)
  yield* Effect.tryPromise({
    try: async () => {
      await rm(path)
      for (let at = 0; at < bytes; at += chunk.length) await file.write(chunk, 0, chunk.length, at)
    },
    catch: diskError("write", path)
  })
  return Effect.tryPromise({ try: () => file.truncate(0), catch: diskError("truncate", path) })
})

export function diskError(op: DiskError["op"], path: string): (error: unknown) => DiskError {
  return (error) => new DiskError({ op, path, code: hasCode(error) ? error.code : String(error) })
}

// --- internal ---

/** As much as a replica's reader reads at once. */
const readBytes = 1024 * 1024

const hasCode = (error: unknown): error is { readonly code: string } =>
  error instanceof Error && "code" in error && typeof error.code === "string"
