/**
 * The parent's end of the channel over which it orders a process what to do.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { ChildProcess } from "node:child_process"

export interface Told {
  /** The number of the answered order; 0 for a report without an order. */
  readonly number: number
  readonly value?: unknown
  readonly error?: { readonly tag: string; readonly reason: string; readonly message: string } | undefined
}

/** The actor's report of an order that failed. */
export class ActorFailed extends Schema.TaggedError<ActorFailed>()("ActorFailed", {
  tag: Schema.String,
  reason: Schema.String,
  detail: Schema.String
}) {}

export interface Exited {
  readonly code: number | null
  readonly signal: string | null
}

export class OrderedActor<Order> {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #told: Array<Told> = []
  readonly #listeners = new Set<() => void>()
  #exited: Exited | undefined
  #numbers = 0

  constructor(child: ChildProcess) {
    this.#child = child
    this.pid = child.pid ?? 0
    child.on("message", (told) => this.#changed(() => this.#told.push(told as Told)))
    // Not "exit", which may be told ahead of messages that lie in the channel yet.
    child.once("close", (code, signal) => this.#changed(() => this.#exited = { code, signal }))
    child.on("error", () => undefined)
  }

  get hasExited(): boolean {
    return this.#exited !== undefined
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Sends an order, and waits until it is done. */
  do<A = unknown>(order: Order): Effect.Effect<A, ActorFailed> {
    return Effect.suspend(() => this.answer<A>(this.#send(order)))
  }

  /** Sends an order that has no answer. */
  order(order: Order): void {
    this.#send(order)
  }

  readonly exit: Effect.Effect<Exited> = Effect.suspend(() =>
    this.#until(() => this.#exited === undefined ? undefined : Effect.succeed(this.#exited))
  )

  protected answer<A>(number: number): Effect.Effect<A, ActorFailed> {
    return this.#until<A, ActorFailed>(() => {
      const told = this.#told.find((other) => other.number === number)
      if (told?.error !== undefined) {
        const { message, reason, tag } = told.error
        return Effect.fail(new ActorFailed({ tag, reason, detail: message }))
      }
      if (told !== undefined) return Effect.succeed(told.value as A)
      if (this.#exited === undefined) return undefined
      return Effect.fail(new ActorFailed({ tag: "exited", reason: "", detail: JSON.stringify(this.#exited) }))
    })
  }

  #send(order: Order): number {
    const number = this.#numbers += 1
    if (this.#child.connected) this.#child.send({ number, order })
    return number
  }

  #changed(change: () => void): void {
    change()
    for (const listener of this.#listeners) listener()
  }

  #until<A, E>(check: () => Effect.Effect<A, E> | undefined): Effect.Effect<A, E> {
    return Effect.callback<A, E>((resume) => {
      const look = () => {
        const found = check()
        if (found !== undefined) resume(found)
        return found !== undefined
      }
      if (look()) return
      this.#listeners.add(look)
      return Effect.sync(() => this.#listeners.delete(look))
    })
  }
}
