/**
 * Claims places in the tables of a region. Each slot has its own lock, and so has the giving of new names. A claim
 * retries a lock that a stopped process holds for three seconds.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { fullTable, RegionError } from "../../../services/schema/RegionError.ts"
import { formatMillis } from "../../../services/text/quantities.ts"
import { attempt } from "./NativeError.ts"
import type { NativeRegion } from "./NativeRegion.ts"
import { ownTime } from "./OwnTime.ts"

type Region = Pick<NativeRegion["Service"], "info">

/** A claim that needs no release. */
export const claiming = <A>(region: Region, call: () => A): Effect.Effect<A, RegionError> =>
  patiently(region, call, pause)

/**
 * A claim that is given back with the scope. Only its waits can be interrupted: a claim that was made is always given
 * back.
 */
export const claimed = <A>(
  region: Region,
  call: () => A,
  giveBack: (claim: A) => void
): Effect.Effect<A, RegionError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.scope, (scope) =>
      Effect.tap(
        patiently(region, call, restore(pause)),
        (claim) => Scope.addFinalizer(scope, Effect.sync(() => giveBack(claim)))
      ))
  )

/** Names, for a full table, the region's size that limits it, and the next step. */
export const whenFull =
  (size: Parameters<typeof fullTable>[2]) =>
  <A, E, R>(claim: Effect.Effect<A, E | RegionError, R>): Effect.Effect<A, E | RegionError, R> =>
    Effect.mapError(
      claim,
      (error) =>
        error instanceof RegionError && error.fault === "full" ? fullTable(error.region, error.detail, size) : error
    )

// --- internal ---

const pause = Effect.sleep("2 millis")
const deadlineMillis = 3000

const patiently = <A>(region: Region, call: () => A, wait: Effect.Effect<void>): Effect.Effect<A, RegionError> =>
  Effect.flatMap(ownTime, ({ look }) => {
    const trial: Effect.Effect<A, RegionError> = Effect.catchIf(
      attempt(region.info.name, call),
      isBusy,
      (error) =>
        Effect.flatMap(
          look,
          (waited) => waited < deadlineMillis ? Effect.andThen(wait, trial) : Effect.fail(tooLong(error))
        )
    )
    return trial
  })

const isBusy = (error: RegionError): boolean => error.fault === "busy"

const tooLong = ({ detail, region }: RegionError) =>
  new RegionError({
    fault: "busy",
    region,
    detail: `${detail}, and has not finished within ${formatMillis(deadlineMillis)}`,
    hint: "if that process is stopped, continue it (kill -CONT) or end it: either frees what it holds at once"
  })
