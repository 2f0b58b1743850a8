/**
 * The faults of replicas and their disks. While a disk does not sync, what is ordered goes on, and nothing durable does.
 */
import * as Effect from "effect/Effect"
import { type Cast, conditionOf, type ReplicaName, replicaNames } from "../cast.ts"
import { type DiskFault, TortureTopic } from "../jobs.ts"
import { nowMicros } from "../journal.ts"
import { type Part, until } from "../processes.ts"
import type { Choose } from "../random.ts"
import { again, anyOf, type Inflict, pausedFor, progressed, progressedBy } from "./recovery.ts"

export const replicaFaults: Readonly<Record<string, Inflict>> = {
  "replica killed": (cast, choose) =>
    Effect.gen(function*() {
      const [name, replica] = replicaOf(cast, choose)
      const from = nowMicros()
      const millis = yield* again(
        replica,
        Effect.gen(function*() {
          yield* ordersBeside(cast, name, from)
          return yield* cast.startReplica(name)
        })
      )
      return millis + (yield* progressed(cast))
    }),
  "replica stopped and continued": (cast, choose) => pausedFor(cast, replicaOf(cast, choose)[1], 50 + choose(1500)),
  "replica's disk slow": (cast, choose) =>
    Effect.gen(function*() {
      const [, replica] = replicaOf(cast, choose)
      const met = replica.met
      replica.disk({ kind: "slow", millis: 100 + choose(300) })
      yield* until(`syncs of ${replica.name} are slow`, () => replica.met > met + 1)
      // All goes on, but slowly.
      const millis = yield* progressed(cast)
      replica.disk({ kind: "none" })
      return millis
    }),
  "replica's disk stuck": (cast, choose) => withheld(cast, choose, { kind: "stuck" }, undefined),
  "replica's disk full": (cast, choose) =>
    withheld(cast, choose, { kind: "full", freeBytes: 1 + choose(30_000) }, "ENOSPC"),
  "replica's disk failing": (cast, choose) =>
    withheld(cast, choose, { kind: "failing", op: choose(2) === 0 ? "write" : "sync" }, "EIO")
}

// --- internal ---

const replicaOf = (cast: Cast, choose: Choose): readonly [ReplicaName, Part] => {
  const name = anyOf(replicaNames, choose)
  return [name, cast.replicas.get(name) as Part]
}

const withheld = Effect.fnUntraced(function*(cast: Cast, choose: Choose, fault: DiskFault, code: string | undefined) {
  const [name, replica] = replicaOf(cast, choose)
  const met = replica.met
  const said = replica.text.length
  replica.disk(fault)
  yield* until(`the disk of ${replica.name} is ${fault.kind}`, () => replica.met > met)
  if (code !== undefined) {
    const isNamed = () => replica.text.slice(said).includes(code)
    yield* until(`${replica.name} names ${code}`, isNamed)
  }
  yield* ordersBeside(cast, name, nowMicros())
  replica.disk({ kind: "none" })
  const millis = yield* progressed(cast)
  yield* until(`${replica.name} is in sync again`, () => conditionOf(replica) === "in sync")
  return millis
})

/** What is ordered goes on although this replica, which is required, has not synced since then. */
const ordersBeside = Effect.fnUntraced(function*(cast: Cast, replica: ReplicaName, from: number) {
  // Twice: what is told first may have been acknowledged ahead of that.
  yield* progressedBy(cast.clientsOf(TortureTopic.name))
  yield* progressedBy(cast.clientsOf(TortureTopic.name))
  cast.write({ _tag: "Withheld", replica, from, at: nowMicros() })
})
