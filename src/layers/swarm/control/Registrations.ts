/**
 * Registers names and groups with the coordinator, and withdraws each when its scope closes.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { NameRefused } from "../../../services/Coordinator.ts"
import { type CoordinatorLost, isSame, ShuttingDown } from "../../../services/schema/Member.ts"
import type { CoordinatorClient } from "./CoordinatorClient.ts"

type Held = Effect.Effect<void, NameRefused | CoordinatorLost | ShuttingDown, Scope.Scope>

/** How long the end of a scope waits for the coordinator to withdraw a registration. */
const giveBackMillis = 500

export class Registrations {
  readonly #coordinator: CoordinatorClient
  readonly #isOver: () => boolean
  /** How many scopes have joined this member to each group. */
  readonly #groups = new Map<string, number>()

  constructor(coordinator: CoordinatorClient, isOver: () => boolean) {
    this.#coordinator = coordinator
    this.#isOver = isOver
  }

  publish(name: string): Held {
    const { membership, self } = this.#coordinator
    const has = () => {
      const owner = membership.resolve(name)
      return owner !== undefined && isSame(owner.id, self)
    }
    const taken = this.#take(this.#coordinator.request("Publish", { name }), has)
    return Effect.acquireRelease(taken, () => this.#giveBack(this.#coordinator.request("Unpublish", { name })))
  }

  joinGroup(group: string): Held {
    const taken = this.#take(this.#coordinator.request("JoinGroup", { group }), () => false)
    const count = (change: number) =>
      Effect.sync(() => {
        const uses = (this.#groups.get(group) ?? 0) + change
        this.#groups.set(group, uses)
        return uses
      })
    return Effect.acquireRelease(
      Effect.andThen(taken, count(1)),
      () =>
        Effect.flatMap(
          count(-1),
          (uses) => uses > 0 ? Effect.void : this.#giveBack(this.#coordinator.request("LeaveGroup", { group }))
        )
    )
  }

  // --- internal ---

  // A coordinator that was replaced before it answered may have carried out the request; `has` says whether it did.
  #take(request: Effect.Effect<void, NameRefused | CoordinatorLost>, has: () => boolean) {
    let isAgain = false
    const asked = Effect.suspend((): Effect.Effect<void, NameRefused | CoordinatorLost | ShuttingDown> => {
      if (this.#isOver()) return Effect.fail(new ShuttingDown())
      if (isAgain && has()) return Effect.void
      isAgain = true
      return request
    })
    return Effect.retry(asked, { while: isReplaced })
  }

  // Wait for the answer, so that another member finds the name free once the scope has closed.
  #giveBack(request: Effect.Effect<void, CoordinatorLost>): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#isOver()) return Effect.void
      return Effect.ignore(Effect.timeout(Effect.retry(request, { while: isReplaced }), giveBackMillis))
    })
  }
}

const isReplaced = (error: NameRefused | CoordinatorLost | ShuttingDown): boolean =>
  error._tag === "CoordinatorLost" && error.reason === "replaced"
