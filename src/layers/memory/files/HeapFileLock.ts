/**
 * Locks of files in this heap: they end with their scope. Each call makes a file system of its own.
 */
import * as Effect from "effect/Effect"
import { type FileLock, FileLockBusy } from "../../ports/FileLock.ts"

export const makeHeapFileLock = (): FileLock => {
  const held = new Set<string>()
  const taken = (path: string) =>
    Effect.suspend(() => {
      if (held.has(path)) return Effect.fail(new FileLockBusy({ path, pid: process.pid }))
      held.add(path)
      return Effect.succeed(path)
    })
  return {
    lock: (path) => Effect.asVoid(Effect.acquireRelease(taken(path), () => Effect.sync(() => held.delete(path))))
  }
}
