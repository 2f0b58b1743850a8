/**
 * The log is lost with its memory, as by a restart of the host, and restored from the files of a replica. Clients live on,
 * and attach to the restored log by themselves.
 */
import * as Effect from "effect/Effect"
import { readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import * as CxlMemory from "../../../src/layers/CxlMemory.ts"
import * as Regions from "../../../src/layers/Regions.ts"
import { type Cast, type ReplicaName, replicaNames } from "../cast.ts"
import { StoredTopic, TortureTopic } from "../jobs.ts"
import { journalTo, nowMicros } from "../journal.ts"
import { until } from "../processes.ts"
import { noteStored } from "../stored.ts"
import { type Inflict, killed, progressed } from "./recovery.ts"

export const restored: Inflict = Effect.fnUntraced(function*(cast) {
  const began = performance.now()
  const living = [...cast.servers, ...cast.replicas.values()].filter(({ ended }) => ended === undefined)
  yield* Effect.forEach(living, killed, { concurrency: "unbounded", discard: true })
  yield* readToEnd(cast)
  const ends = yield* noteFiles(cast)
  rmSync(CxlMemory.regionPath(cast.region))
  const restoring = yield* cast.startRestoring(ends.a >= ends.b ? "a" : "b")
  noteTerm(cast)
  yield* progressed(cast)
  const millis = performance.now() - began
  // Goes on as before: with standbys, one of which takes the log over, and replicas in processes of their own.
  yield* Effect.all([cast.startStandby, cast.startStandby], { concurrency: "unbounded" })
  restoring.signal("SIGTERM")
  yield* until(`the end of ${restoring.name} in good order`, () => restoring.ended === "exit code 0")
  yield* Effect.all([cast.startStandby, ...replicaNames.map((name) => cast.startReplica(name))], {
    concurrency: "unbounded"
  })
  yield* progressed(cast)
  return millis
})

/** Begins a region: what the conductor writes down behind this is of the log there. */
export const noteRegion = (cast: Cast): number => {
  const { number, region } = JSON.parse(readFileSync(join(cast.directory("a"), "manifest.json"), "utf8")).term
  cast.write({ _tag: "Joined", region, topic: StoredTopic.name })
  return number
}

/** Writes down what the files of both replicas have, while no process writes them, and returns their ends. */
export const noteFiles = (cast: Cast): Effect.Effect<Readonly<Record<ReplicaName, number>>> =>
  Effect.promise(async () => {
    const found = { a: 0, b: 0 }
    for (const name of replicaNames) {
      const write = journalTo(cast.journalFor(`files-${name}.${nowMicros()}`))
      const { region } = JSON.parse(readFileSync(join(cast.directory(name), "manifest.json"), "utf8")).term
      write({ _tag: "Joined", region, topic: StoredTopic.name })
      found[name] = await noteStored(name, cast.directory(name), StoredTopic.name, write)
    }
    return found
  })

/** Where a topic begins and ends in memory. */
export const boundsOf = (cast: Cast, topic: string) =>
  Effect.map(
    Regions.inspectLog(CxlMemory.regionPath(cast.region)),
    ({ topics }) => topics.find(({ name }) => name === topic)?.bounds ?? { start: 0, end: 0 }
  )

export const endOf = (cast: Cast, topic: string) => Effect.map(boundsOf(cast, topic), ({ end }) => end)

// --- internal ---

// Nothing is ordered any more: its subscribers read all that was, before it is gone.
const readToEnd = Effect.fnUntraced(function*(cast: Cast) {
  const end = yield* Effect.orDie(endOf(cast, TortureTopic.name))
  const readers = cast.readersOf(TortureTopic.name)
  yield* until(`all is read up to ${end}`, () => readers.every(({ position }) => position >= end))
  cast.write({ _tag: "Ended", topic: TortureTopic.name, end })
})

const noteTerm = (cast: Cast): void => {
  const at = nowMicros()
  const term = noteRegion(cast)
  const { from } = JSON.parse(readFileSync(join(cast.directory("a"), "manifest.json"), "utf8")).term
  cast.write({ _tag: "Restored", position: from[StoredTopic.name] ?? 0, term, at })
}
