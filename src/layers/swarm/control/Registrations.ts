/**
 * Registers names and groups with the coordinator, and withdraws each when its scope closes.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { NameRefused } from "../../../services/Coordinator.ts"
import { type CoordinatorLost, isSame, ShuttingDown } from "../../../services/schema/Member.ts"
import type { CoordinatorClient } from "./CoordinatorClient.ts"
import type { Answer, Request } from "./CoordinatorProtocol.ts"

type Held = Effect.Effect<void, NameRefused | CoordinatorLost | ShuttingDown, Scope.Scope>

/** How long the end of a scope waits for the coordinator to withdraw a registration. */
const giveBackMillis = 500

export class Registrations {
  readonly #link: CoordinatorClient
  readonly #isOver: () => boolean
  /** How many scopes hold this member in a group. */
  readonly #groups = new Map<string, number>()

  constructor(link: CoordinatorClient, isOver: () => boolean) {
    this.#link = link
    this.#isOver = isOver
  }

  publish(name: string): Held {
    const { membership, self } = this.#link
    const has = () => {
      const owner = membership.resolve(name)
      return owner !== undefined && isSame(owner.id, self)
    }
    const taken = this.#take(name, { _tag: "Publish", name }, has)
    return Effect.acquireRelease(taken, () => this.#giveBack({ _tag: "Unpublish", name }))
  }

  joinGroup(group: string): Held {
    const taken = this.#take(group, { _tag: "JoinGroup", group }, () => false)
    const count = (change: number) =>
      Effect.sync(() => {
        const uses = (this.#groups.get(group) ?? 0) + change
        this.#groups.set(group, uses)
        return uses
      })
    return Effect.acquireRelease(
      Effect.andThen(taken, count(1)),
      () => Effect.flatMap(count(-1), (uses) => uses > 0 ? Effect.void : this.#giveBack({ _tag: "LeaveGroup", group }))
    )
  }

  // --- internal ---

  // A coordinator that was replaced before it answered may have carried out the request: `has` tells.
  #take(name: string, request: Request, has: () => boolean) {
    let isAgain = false
    const asked = Effect.suspend((): Effect.Effect<void, NameRefused | CoordinatorLost | ShuttingDown> => {
      if (this.#isOver()) return Effect.fail(new ShuttingDown())
      if (isAgain && has()) return Effect.void
      isAgain = true
      return Effect.flatMap(this.#link.request(request), (answer) => grantedBy(answer, name))
    })
    return Effect.retry(asked, { while: isReplaced })
  }

  // Wait for the answer: once the scope has closed another member finds the name free.
  #giveBack(request: Request): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#isOver()) return Effect.void
      const asked = Effect.suspend(() => this.#link.request(request))
      return Effect.ignore(Effect.timeout(Effect.retry(asked, { while: isReplaced }), giveBackMillis))
    })
  }
}

const isReplaced = (error: NameRefused | CoordinatorLost | ShuttingDown): boolean =>
  error._tag === "CoordinatorLost" && error.reason === "replaced"

const grantedBy = (answer: Answer, name: string): Effect.Effect<void, NameRefused> => {
  if (answer._tag !== "Refused") return Effect.void
  const reason = answer.reason === "empty" || answer.reason === "reserved" ? answer.reason : "taken"
  return Effect.fail(new NameRefused({ name, reason }))
}
