/**
 * The faults that the torture does to its processes. Each one returns once the log runs again and all parts are there,
 * with the time that it took from the fault to the first record that went on.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Cast } from "./cast.ts"
import { type NotRecovered, type Part, until } from "./processes.ts"
import type { Choose } from "./random.ts"

export type Inflict = (cast: Cast, choose: Choose) => Effect.Effect<number, NotRecovered, Scope.Scope>

/** By name. Each kind is inflicted as often as the others, in an order that the seed determines. */
export const faults: Readonly<Record<string, Inflict>> = {
  "server killed": (cast) =>
    Effect.gen(function*() {
      const server = yield* serving(cast)
      server.signal("SIGKILL")
      return yield* replaced(cast, server)
    }),
  "server stopped, replaced, continued": (cast) =>
    Effect.gen(function*() {
      const server = yield* serving(cast)
      server.signal("SIGSTOP")
      const millis = yield* replaced(cast, server)
      server.signal("SIGCONT")
      yield* until(`the end of ${server.name} as deposed`, () => server.ended === "exit code 5")
      return millis
    }),
  "server restarted": (cast) =>
    Effect.gen(function*() {
      const server = yield* serving(cast)
      server.signal("SIGTERM")
      const millis = yield* replaced(cast, server)
      yield* until(`the end of ${server.name} in good order`, () => server.ended === "exit code 0")
      return millis
    }),
  "standby killed": (cast, choose) =>
    Effect.gen(function*() {
      const standby = anyOf(standbysOf(cast, yield* serving(cast)), choose)
      standby.signal("SIGKILL")
      const millis = yield* progressed(cast)
      yield* cast.startStandby
      return millis
    }),
  "standby stopped and continued": (cast, choose) =>
    Effect.gen(function*() {
      const standby = anyOf(standbysOf(cast, yield* serving(cast)), choose)
      return yield* pausedFor(cast, standby, 100 + choose(1000))
    }),
  "publisher killed": (cast, choose) =>
    Effect.gen(function*() {
      const publisher = choose(cast.publishers.length)
      return yield* again(cast.publishers[publisher] as Part, cast.startPublisher(publisher))
    }),
  "publisher stopped and continued": (cast, choose) =>
    pausedFor(cast, anyOf(cast.publishers, choose), 50 + choose(1500)),
  "subscriber killed": (cast, choose) =>
    Effect.gen(function*() {
      const subscriber = choose(cast.subscribers.length)
      const millis = yield* again(cast.subscribers[subscriber] as Part, cast.startSubscriber(subscriber))
      yield* progressed(cast)
      return millis
    }),
  "subscriber stopped and continued": (cast, choose) =>
    pausedFor(cast, anyOf(cast.subscribers, choose), 50 + choose(1500))
}

/** Waits until each publisher has more acknowledged than now, and each subscriber has read more. */
export const progressed = (cast: Cast): Effect.Effect<number, NotRecovered> => {
  const before = parts(cast).map((part) => [part, part.reached] as const)
  const behind = () => before.filter(([part, reached]) => part.reached <= reached).map(([{ name }]) => name)
  return until("progress of all parts", () => behind().length === 0)
}

// --- internal ---

const parts = ({ publishers, subscribers }: Cast): ReadonlyArray<Part> => [...publishers, ...subscribers]

const anyOf = <A>(all: ReadonlyArray<A>, choose: Choose): A => all[choose(all.length)] as A

const standbysOf = (cast: Cast, server: Part): ReadonlyArray<Part> =>
  cast.servers.filter((part) => part !== server && part.ended === undefined)

const serving = (cast: Cast): Effect.Effect<Part, NotRecovered> =>
  Effect.map(until("a server", () => cast.server() !== undefined), () => cast.server() as Part)

// From the fault to the first new acknowledgement of each publisher.
const replaced = Effect.fnUntraced(function*(cast: Cast, server: Part) {
  const isReplaced = () =>
    cast.servers.some((part) => part !== server && part.ended === undefined && cast.hasServed(part))
  const waited = yield* until(`a successor of ${server.name}`, isReplaced)
  const millis = waited + (yield* progressed(cast))
  yield* cast.startStandby
  return millis
})

const again = Effect.fnUntraced(function*(part: Part, start: Effect.Effect<Part, NotRecovered, Scope.Scope>) {
  const began = performance.now()
  part.signal("SIGKILL")
  yield* until(`the end of ${part.name}`, () => part.ended !== undefined)
  yield* start
  return performance.now() - began
})

const pausedFor = Effect.fnUntraced(function*(cast: Cast, part: Part, millis: number) {
  part.signal("SIGSTOP")
  yield* until(`${part.name} stops`, () => part.isStopped())
  yield* Effect.sleep(millis)
  part.signal("SIGCONT")
  return yield* progressed(cast)
})
