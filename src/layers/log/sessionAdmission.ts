/**
 * Bounds the opening of a session: the server admits it within a deadline, or the opening fails and leaves nothing
 * behind.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { RegionLost } from "../../services/CxlMemory.ts"
import { millisOf } from "../../services/input/DurationInput.ts"
import type { PublisherOptions } from "../../services/Publisher.ts"
import { RegionError } from "../../services/schema/RegionError.ts"
import { unanswered } from "../../services/schema/Server.ts"
import { formatMillis } from "../../services/text/quantities.ts"
import type { LogWaiter } from "../ports/Waiter.ts"

const defaultDeadline: Duration.Input = "10 seconds"

/**
 * Runs the opening of a session within `openDeadline`. Resources that it acquired live as long as the scope; if it
 * fails, they are released at once. It fails at once when the log's server is gone.
 */
export const admittedInTime =
  (region: string, waiter: LogWaiter, options: PublisherOptions | undefined) =>
  <A, E, R>(opening: Effect.Effect<A, E, R>): Effect.Effect<A, E | RegionError | RegionLost, R | Scope.Scope> => {
    const deadlineMillis = millisOf("openDeadline", options?.openDeadline ?? defaultDeadline)
    const tooLate = Effect.suspend((): Effect.Effect<never, RegionError | RegionLost> => {
      const { detail, hint } = unanswered(waiter.server())
      const waited = `the session was not admitted within ${formatMillis(deadlineMillis)}`
      return Effect.fail(
        waiter.lost() ?? new RegionError({ fault: "notAnswering", region, detail: `${waited}: ${detail}`, hint })
      )
    })
    return keptWhenOpened(
      Effect.raceFirst(opening, waiter.untilLost).pipe(
        Effect.timeoutOrElse({ duration: deadlineMillis, orElse: () => tooLate })
      )
    )
  }

// --- internal ---

const keptWhenOpened = <A, E, R>(opening: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const kept = yield* Scope.fork(yield* Scope.Scope)
      return yield* restore(Scope.provide(opening, kept)).pipe(
        Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : Scope.close(kept, exit))
      )
    })
  )
