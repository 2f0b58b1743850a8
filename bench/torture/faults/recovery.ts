/**
 * What the faults of the torture have in common: which process each of them hits, and how the run sees that the log goes on.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Cast } from "../cast.ts"
import { NotRecovered, type Part, until } from "../processes.ts"
import type { Choose } from "../random.ts"

/** Does one fault, and returns once the log runs again and all parts are there, with the time that it took. */
export type Inflict = (cast: Cast, choose: Choose) => Effect.Effect<number, NotRecovered, Scope.Scope>

/** Waits until each of these has more acknowledged than now, or has read more. */
export const progressedBy = (parts: ReadonlyArray<Part>): Effect.Effect<number, NotRecovered> => {
  const before = parts.map((part) => [part, part.reached] as const)
  const behind = () => before.filter(([part, reached]) => part.reached <= reached).map(([{ name }]) => name)
  return Effect.mapError(
    until("progress of all parts", () => behind().length === 0),
    (error) => error.of(behind())
  )
}

/** The same of all publishers, readers and the cursor's holder, as long as they live and replicas have files to go on with. */
export const progressed = (cast: Cast): Effect.Effect<number, NotRecovered> =>
  whileFit(cast, progressedBy(cast.clients))

/** Fails at once where waiting is in vain. */
export const whileFit = <A>(cast: Cast, waiting: Effect.Effect<A, NotRecovered>): Effect.Effect<A, NotRecovered> =>
  Effect.raceFirst(waiting, untilUnfit(cast))

export const anyOf = <A>(all: ReadonlyArray<A>, choose: Choose): A => all[choose(all.length)] as A

export const standbysOf = (cast: Cast, server: Part): ReadonlyArray<Part> =>
  cast.servers.filter((part) => part !== server && part.ended === undefined)

export const serving = (cast: Cast): Effect.Effect<Part, NotRecovered> =>
  Effect.map(until("a server", () => cast.server() !== undefined), () => cast.server() as Part)

/** From the fault to the first record that goes on at each client. */
export const replaced = Effect.fnUntraced(function*(cast: Cast, server: Part) {
  const isReplaced = () =>
    cast.servers.some((part) => part !== server && part.ended === undefined && cast.hasServed(part))
  const waited = yield* until(`a successor of ${server.name}`, isReplaced)
  const millis = waited + (yield* progressed(cast))
  yield* cast.startStandby
  return millis
})

export const killed = (part: Part): Effect.Effect<number, NotRecovered> =>
  Effect.suspend(() => {
    part.signal("SIGKILL")
    return until(`the end of ${part.name}`, () => part.ended !== undefined)
  })

export const again = Effect.fnUntraced(function*(part: Part, start: Effect.Effect<Part, NotRecovered, Scope.Scope>) {
  const began = performance.now()
  yield* killed(part)
  yield* start
  return performance.now() - began
})

export const pausedFor = Effect.fnUntraced(function*(cast: Cast, part: Part, millis: number) {
  part.signal("SIGSTOP")
  yield* until(`${part.name} stops`, () => part.isStopped())
  yield* Effect.sleep(millis)
  part.signal("SIGCONT")
  return yield* progressed(cast)
})

// --- internal ---

const untilUnfit = Effect.fnUntraced(function*(cast: Cast) {
  const began = performance.now()
  for (;; yield* Effect.sleep(50)) {
    const ended = cast.clients.find(({ ended }) => ended !== undefined)
    const [unfit] = cast.unfit()
    if (ended === undefined && unfit === undefined) continue
    const found = unfit === undefined ? `${ended?.name} ended: ${ended?.text}` : `${unfit.replica} ${unfit.what}`
    const waitedMillis = Math.round(performance.now() - began)
    return yield* new NotRecovered({ what: `progress of all parts, with ${found}`, waitedMillis })
  }
})
