/**
 * Starts actors and waits for their reports. An actor that outlives its test is killed with the test's scope.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type ChildProcess, fork } from "node:child_process"
import type { Geometry } from "../../src/services/schema/Geometry.ts"
import { bundled } from "../bundles.ts"

export { seeded } from "./seeded.ts"

export interface ActorOptions {
  readonly name?: string
  /** Default: a publisher goes on until it is told to end, and a subscriber for ever. */
  readonly records?: number
  readonly recordBytes?: number
  readonly skewMillis?: number
  readonly from?: "start" | "end"
  /** Of the topic; default `session`. */
  readonly order?: "none" | undefined
  readonly geometry?: Partial<Geometry>
  /** Of a publisher: how long it pauses behind each 64 records. Default: not at all. */
  readonly pauseMillis?: number
  /** Of a standby: how long the server may stand still. */
  readonly suspectMillis?: number
}

export type ActorMessage =
  | { readonly _tag: "ready"; readonly sessionId: number }
  | { readonly _tag: "acknowledged"; readonly records: number }
  | { readonly _tag: "done"; readonly records: number }
  | { readonly _tag: "failed"; readonly error: string; readonly message: string }

/** The actor ended before the expected report. */
export class ActorEnded extends Schema.TaggedError<ActorEnded>()("ActorEnded", {
  how: Schema.String,
  lastTold: Schema.UndefinedOr(Schema.String)
}) {
  override get message(): string {
    return `the actor ended by ${this.how}, having told last: ${this.lastTold}`
  }
}

export type Part = "publish" | "subscribe" | "serve" | "standby" | "create"

export class Actor {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #told: Array<ActorMessage> = []
  readonly #listeners = new Set<() => void>()
  /** The signal that ended it, or the code with which it exited. */
  #end: string | undefined

  constructor(child: ChildProcess) {
    this.#child = child
    this.pid = child.pid ?? 0
    child.on("message", (message) => {
      this.#told.push(message as ActorMessage)
      this.#changed()
    })
    // Not "exit", which may be told ahead of messages that lie in the channel yet.
    child.once("close", (code, signal) => {
      this.#end = signal ?? `exit code ${code}`
      this.#changed()
    })
  }

  get exited(): boolean {
    return this.#end !== undefined
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Tells a publisher to end behind what it has sent. */
  end(): void {
    this.#child.send("end")
  }

  /** The first matching message, past or future. Fails when the actor ends without it. */
  told<M extends ActorMessage>(fits: (message: ActorMessage) => message is M): Effect.Effect<M, ActorEnded> {
    return this.#until(() => {
      const found = this.#told.find(fits)
      if (found !== undefined) return Effect.succeed(found)
      if (this.#end === undefined) return undefined
      return Effect.fail(new ActorEnded({ how: this.#end, lastTold: JSON.stringify(this.#told.at(-1)) }))
    })
  }

  readonly ready: Effect.Effect<{ readonly sessionId: number }, ActorEnded> = Effect.suspend(() =>
    this.told((message) => message._tag === "ready")
  )

  acknowledged(records: number): Effect.Effect<unknown, ActorEnded> {
    return this.told((message): message is ActorMessage & { readonly _tag: "acknowledged" } =>
      message._tag === "acknowledged" && message.records >= records
    )
  }

  readonly exit: Effect.Effect<void> = Effect.suspend(() => this.#until(() => this.exited ? Effect.void : undefined))

  #changed(): void {
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

export const start = (
  part: Part,
  region: string,
  options: ActorOptions = {}
): Effect.Effect<Actor, never, Scope.Scope> => startActor("actor.ts", [part, region, JSON.stringify(options)])

/** A script of this folder, as a process of its own. */
export const startActor = (
  script: string,
  parameters: ReadonlyArray<string>
): Effect.Effect<Actor, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      return new Actor(fork(bundled(`test/processes/${script}`), parameters, { stdio: ["ignore", 1, 2, "ipc"] }))
    }),
    (actor) => {
      actor.signal("SIGKILL")
      return actor.exit
    }
  )

/** A name that no other run uses. */
export const freshRegion = (what: string): string => `test-${what}-${process.pid}-${(counter += 1)}`

let counter = 0
