/**
 * Holds the coordinator's role in one process, from the opening of the ring `coordinator` until its resignation. A
 * member leaves the swarm before it resigns: no other member could answer its request to leave.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { OpenRingError } from "../../../services/Ring.ts"
import { CoordinatorServer, type CoordinatorServerOptions } from "./CoordinatorServer.ts"

export class CoordinatorLease {
  #held: { readonly coordinating: CoordinatorServer; readonly scope: Scope.Closeable } | undefined

  private constructor() {}

  /** A lease that is not held yet. It is resigned at the latest with the scope. */
  static readonly make: Effect.Effect<CoordinatorLease, never, Scope.Scope> = Effect.acquireRelease(
    Effect.sync(() => new CoordinatorLease()),
    (lease) => lease.resign
  )

  get coordinating(): CoordinatorServer | undefined {
    return this.#held?.coordinating
  }

  /** Fails with `RingUnavailable` when another member holds it. */
  take(options: CoordinatorServerOptions): Effect.Effect<void, OpenRingError> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function*() {
        const scope = yield* Scope.make()
        const coordinating = yield* restore(Scope.provide(CoordinatorServer.open(options), scope)).pipe(
          Effect.onError(() => Scope.close(scope, Exit.void))
        )
        this.#held = { coordinating, scope }
        coordinating.tick()
      })
    )
  }

  readonly resign: Effect.Effect<void> = Effect.suspend(() => {
    const held = this.#held
    this.#held = undefined
    return held === undefined ? Effect.void : Scope.close(held.scope, Exit.void)
  })
}
