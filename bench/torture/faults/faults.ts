/**
 * The faults that the torture does to its processes. Each one returns once the log runs again and all parts are there,
 * with the time that it took from the fault, or from its end, to the first record that went on at each client.
 */
import * as Effect from "effect/Effect"
import type { Plant } from "../jobs.ts"
import type { Part } from "../processes.ts"
import { until } from "../processes.ts"
import { laggardFaults } from "./laggards.ts"
import { again, anyOf, type Inflict, pausedFor, progressed, replaced, serving, standbysOf } from "./recovery.ts"
import { replicaFaults } from "./replicas.ts"
import { restored } from "./restored.ts"

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
    pausedFor(cast, anyOf(cast.subscribers, choose), 50 + choose(1500)),
  "cursor's holder killed": (cast) =>
    Effect.gen(function*() {
      const millis = yield* again(cast.holder as Part, cast.startHolder)
      return millis + (yield* progressed(cast))
    }),
  ...laggardFaults,
  ...replicaFaults,
  "log lost and restored": restored
}

const lost = "log lost and restored"

/** The kinds that show what is planted below replicas or readers: a run with it has no others, so that each of them comes soon. */
const showing: Readonly<Record<Plant, ReadonlyArray<string>>> = {
  unsynced: ["replica killed"],
  // The first time the cursor was perhaps not committed durably yet.
  cursor: [lost, lost],
  // Not every kill leaves a torn end.
  cut: [lost, lost, lost],
  // The first time the topic may have one segment.
  reused: [lost, lost, lost],
  unproven: Object.keys(laggardFaults),
  kept: Object.keys(laggardFaults)
}

/** Whether a run of these kinds must have seen gaps. */
export const passesReaders = (kinds: ReadonlyArray<string>): boolean => kinds.some((kind) => kind in laggardFaults)

/** The kinds of a run, each as often as it is inflicted before all come again. */
export const kindsOf = (plant: Plant | undefined): ReadonlyArray<string> =>
  plant === undefined ? Object.keys(faults) : showing[plant]
