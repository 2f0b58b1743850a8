/**
 * A disk in this heap for replicas, with the locks of its directories.
 */
import * as Effect from "effect/Effect"
import type { Disk } from "../../ports/Disk.ts"
import { FileLockBusy } from "../../ports/FileLock.ts"
import type { FileLock } from "../../ports/FileLock.ts"
import { SimulatedDisk } from "./SimulatedDisk.ts"

/** `random` decides what a loss of power leaves. */
export const memoryDisk = (random: () => number = () => 0): { readonly disk: Disk; readonly lock: FileLock } => ({
  disk: new SimulatedDisk({ random }),
  lock: memoryLock()
})

// --- internal ---

const memoryLock = (): FileLock => {
  const held = new Set<string>()
  return {
    lock: (path) =>
      Effect.asVoid(
        Effect.acquireRelease(
          Effect.suspend(() => {
            if (held.has(path)) return Effect.fail(new FileLockBusy({ path, pid: process.pid }))
            held.add(path)
            return Effect.void
          }),
          () => Effect.sync(() => held.delete(path))
        )
      )
  }
}
