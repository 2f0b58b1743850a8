/**
 * Creates a region. A large one takes seconds, during which the creation reports progress and can be cancelled.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Native, ProgressHandle, RegionHandle } from "../../../native/binding.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import { attempt, attemptPromise } from "./NativeError.ts"

export interface Creating {
  /** The region's name in errors. */
  readonly region: string
  readonly native: Native
  readonly totalBytes: number
  readonly onProgress: ((faultedBytes: number, totalBytes: number) => void) | undefined
  readonly start: (progress: ProgressHandle) => Promise<RegionHandle>
}

/**
 * The region, closed with the scope. The scope owns the creation from its start: an interruption ends it after a few
 * more megabytes, and returns once nothing of it is left.
 */
export const createRegion = (creating: Creating): Effect.Effect<RegionHandle, RegionError, Scope.Scope> =>
  Effect.gen(function*() {
    const { native, region } = creating
    const progress = new native.Progress()
    const { made } = yield* Effect.acquireRelease(
      attempt(region, () => ({ made: begin(creating, progress) })),
      ({ made }) =>
        Effect.promise(() => {
          progress.cancel()
          return made.then((handle) => handle.close(), () => undefined)
        })
    )
    return yield* Effect.raceFirst(attemptPromise(region, () => made), reporting(creating, progress))
  })

// --- internal ---

const progressMillis = 100

// Cancel the creation at the process's exit too: otherwise the exit would wait for the module's worker to finish it.
const begin = ({ start }: Creating, progress: ProgressHandle): Promise<RegionHandle> => {
  const giveUp = () => progress.cancel()
  const made = start(progress)
  process.once("exit", giveUp)
  return made.finally(() => process.off("exit", giveUp))
}

const reporting = ({ onProgress, totalBytes }: Creating, progress: ProgressHandle): Effect.Effect<never> =>
  onProgress === undefined
    ? Effect.never
    : Effect.forever(Effect.andThen(
      Effect.sync(() => onProgress(Math.min(progress.bytes(), totalBytes), totalBytes)),
      Effect.sleep(progressMillis)
    ))
