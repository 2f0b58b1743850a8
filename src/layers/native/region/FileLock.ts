/**
 * Locks of files by the system: they end with their process.
 */
import * as Effect from "effect/Effect"
import { getSystemErrorName } from "node:util"
import { load } from "../../../native/binding.ts"
import { DiskError } from "../../ports/Disk.ts"
import { type FileLock, FileLockBusy } from "../../ports/FileLock.ts"

export const nativeFileLock: FileLock = {
  lock: (path) => Effect.asVoid(Effect.acquireRelease(taken(path), (release) => Effect.sync(release)))
}

// --- internal ---

const taken = (path: string): Effect.Effect<() => void, FileLockBusy | DiskError> =>
  Effect.suspend((): Effect.Effect<() => void, FileLockBusy | DiskError> => {
    const native = load()
    if ("unavailable" in native) return Effect.fail(new DiskError({ op: "lock", path, code: "ENOSYS" }))
    const found = native.lockFile(path)
    if (typeof found === "function") return Effect.succeed(found)
    if (found < 0) return Effect.fail(new DiskError({ op: "lock", path, code: getSystemErrorName(found) }))
    return Effect.fail(found === 0 ? new FileLockBusy({ path }) : new FileLockBusy({ path, pid: found }))
  })
