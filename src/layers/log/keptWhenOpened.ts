/**
 * Keeps what an opening has acquired only if the opening succeeds.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/** Resources of the opening live as long as the scope; if it fails, they are released at once. */
export const keptWhenOpened = <A, E, R>(opening: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      const kept = yield* Scope.fork(yield* Scope.Scope)
      return yield* restore(Scope.provide(opening, kept)).pipe(
        Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : Scope.close(kept, exit))
      )
    })
  )
