/**
 * Waits until a process that got SIGSTOP has stopped, which takes a moment.
 */
import * as Effect from "effect/Effect"
import { readdirSync, readFileSync } from "node:fs"

/** Returns when each thread of the process is stopped. */
export const untilStopped = (pid: number): Effect.Effect<void> =>
  Effect.gen(function*() {
    while (!threadsOf(pid).every((state) => state === "T")) yield* Effect.sleep(1)
  })

// --- internal ---

const threadsOf = (pid: number): ReadonlyArray<string> =>
  readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3)
  })
