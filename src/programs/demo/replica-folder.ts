/**
 * The temporary folder of a run's replicas. It goes with the run, however that ends; one that a killed run left is removed
 * by the next run.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { mkdtempSync, readdirSync, rmSync, statfsSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { nativeFileLock } from "../../layers/native/region/FileLock.ts"
import { DiskError } from "../../layers/ports/Disk.ts"

/** Where the folders are made. */
export const replicaParent = (): string => tmpdir()

/** Bytes that this user may still write there. */
export const replicaRoom: Effect.Effect<number, DiskError> = attempt("size", replicaParent(), (parent) => {
  const { bavail, bsize } = statfsSync(parent)
  return bavail * bsize
})

/** A new folder, removed with the scope. */
export const replicaFolder: Effect.Effect<string, DiskError, Scope.Scope> = Effect.gen(function*() {
  const made = attempt("make directory", join(replicaParent(), prefix), (path) => mkdtempSync(path))
  const folder = yield* Effect.acquireRelease(made, removed)
  yield* Effect.catchTag(
    nativeFileLock.lock(join(folder, lockName)),
    "FileLockBusy",
    ({ path }) => Effect.fail(new DiskError({ op: "lock", path, code: "EBUSY" }))
  )
  return folder
})

/** Removes the folders whose runs are dead: no process holds their locks. */
export const removeLeftFolders: Effect.Effect<void> = Effect.suspend(() =>
  Effect.forEach(leftFolders(), (folder) =>
    nativeFileLock.lock(join(folder, lockName)).pipe(
      Effect.andThen(removed(folder)),
      Effect.scoped,
      Effect.ignore
    ), { discard: true })
)

// --- internal ---

const prefix = "ringfence-demo-"
const lockName = "run.lock"

/** A run that has just begun may not hold its lock yet. */
const freshMillis = 10_000

function attempt<A>(op: DiskError["op"], path: string, run: (path: string) => A): Effect.Effect<A, DiskError> {
  return Effect.try({
    try: () => run(path),
    catch: (error) => new DiskError({ op, path, code: codeOf(error) })
  })
}

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : String(error)

const removed = (folder: string): Effect.Effect<void> =>
  Effect.ignore(Effect.try(() => rmSync(folder, { recursive: true, force: true })))

// Only this user's: in a shared folder another one's can have any name.
const leftFolders = (): ReadonlyArray<string> => {
  try {
    return readdirSync(replicaParent()).filter((name) => name.startsWith(prefix))
      .map((name) => join(replicaParent(), name)).filter(isOld)
  } catch {
    return []
  }
}

const isOld = (folder: string): boolean => {
  try {
    const { mtimeMs, uid } = statSync(folder)
    return uid === process.getuid?.() && Date.now() - mtimeMs > freshMillis
  } catch {
    return false
  }
}
