/**
 * Lists the regions of this host, with their users and the leftovers of dead processes.
 */
import * as Effect from "effect/Effect"
import { readdir } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import type { CursorState, IdentityState, SessionState, TopicState } from "../services/Diagnostics.ts"
import type { Geometry } from "../services/schema/Geometry.ts"
import { type ProcessId, processIdOf } from "../services/schema/ProcessId.ts"
import { RegionError, type RegionFault } from "../services/schema/RegionError.ts"
import { regionPrefix, shmFolder } from "./CxlMemory.ts"
import { topicName } from "./native/log/AckTracker.ts"
import { boundsIn, cursorsOf, durabilityOf, identitiesOf, readersOf } from "./native/log/Diagnostics.ts"
import { orderNameOf } from "./native/log/Topics.ts"
import { attempt, faultOf, nativeModule } from "./native/region/NativeError.ts"

export interface RegionSummary {
  readonly path: string
  readonly name: string
  /** False for a file that only has a region's name; `detail` says what is wrong with it. */
  readonly isRegion: boolean
  /** Why no process can attach to it, if so. */
  readonly fault: RegionFault | undefined
  readonly detail: string
  readonly bytes: number
  /** The process that created it, if the region names it. */
  readonly creator: ProcessId | undefined
  readonly createdMillis: number
  /** Whether a living process runs its sequencer. */
  readonly served: boolean
  /** Whether its log was served and has not ended in good order, and no process serves it now: the next server does. */
  readonly recoverable: boolean
  /** The process that serves its log, or served it last, if the region names it. */
  readonly server: ProcessId | undefined
  /** Whether its creator lives, or another process that keeps it in use: a coordinator, a standby. */
  readonly held: boolean
  /** Living processes attached to it. */
  readonly attached: number
  /** What it is used for, if it is a region. */
  readonly holds: RegionUse | undefined
  /** Whether it is being created, or was left by a process that died while creating it. */
  readonly temporary: boolean
  /** Whether it is the doorbell of a process of a region: of one that is there, or left by one that is gone. */
  readonly bell: "no" | "used" | "left"
  /** The path of that region. */
  readonly bellOf: string | undefined
}

export type RegionUse = "log" | "swarm"

/** A swarm's region has rings and the smallest possible log, which is never served. */
export const useOf = ({ clients, laneSlots, rings }: Pick<Geometry, "clients" | "laneSlots" | "rings">): RegionUse =>
  rings > 0 && clients === 1 && laneSlots === 8 ? "swarm" : "log"

export const inspect = (path: string): Effect.Effect<RegionSummary, RegionError> =>
  Effect.map(
    Effect.flatMap(nativeModule, (native) => attempt(path, () => native.inspectRegion(path))),
    ({ clients, fault, foreignPid, laneSlots, pid, region, rings, ...rest }): RegionSummary => {
      const { foreignServerPid, serverPid, ...found } = rest
      return {
        ...found,
        path,
        isRegion: region,
        holds: region ? useOf({ clients, laneSlots, rings }) : undefined,
        name: nameOf(path),
        bellOf: rest.bell === "no" ? undefined : path.slice(0, path.lastIndexOf(bellMark)),
        fault: region ? undefined : faultOf(fault),
        creator: idOf(pid, foreignPid),
        server: idOf(serverPid, foreignServerPid)
      }
    }
  )

export interface LogSummary {
  readonly topics: ReadonlyArray<Pick<TopicState, "name" | "order" | "bounds" | "readers" | "durability">>
  readonly identities: ReadonlyArray<IdentityState>
  readonly cursors: ReadonlyArray<CursorState>
  /** Ended sessions that keep their slots, because their processes live and may still write there. */
  readonly quarantined: ReadonlyArray<Pick<SessionState, "sessionId" | "topic" | "process"> & ProcessId>
}

/** The topics of a region's log, their subscribers, identities and cursors, and what keeps session slots. Reads without attaching. */
export const inspectLog = (path: string): Effect.Effect<LogSummary, RegionError> =>
  Effect.map(
    Effect.flatMap(nativeModule, (native) => attempt(path, () => native.inspectLog(path))),
    (snapshot): LogSummary => ({
      topics: snapshot.topics.map((topic) => ({
        name: topic.name,
        order: orderNameOf(topic.order),
        bounds: boundsIn(topic),
        readers: readersOf(topic),
        durability: durabilityOf(topic)
      })),
      identities: identitiesOf(snapshot),
      cursors: cursorsOf(snapshot.cursors, snapshot),
      quarantined: snapshot.sessions.filter(({ quarantined }) => quarantined).map((session) => ({
        sessionId: session.sessionId,
        topic: topicName(snapshot, session),
        process: session.process,
        ...processIdOf(session)
      }))
    })
  )

/** The region in a file, and the doorbells beside it that regions of that path have left. */
export const inspectFile = (path: string): Effect.Effect<ReadonlyArray<RegionSummary>, RegionError> =>
  Effect.gen(function*() {
    const names = yield* Effect.orElseSucceed(namesIn(dirname(path)), () => [])
    const beside = names.filter((name) => name.startsWith(basename(path) + bellMark)).toSorted()
    const bells = yield* Effect.forEach(beside, (name) => inspect(join(dirname(path), name)))
    return [yield* inspect(path), ...bells.filter(({ bell }) => bell === "left")]
  })

/** All files in `/dev/shm` that have a region's name, and the doorbells of regions that are gone. */
export const list: Effect.Effect<ReadonlyArray<RegionSummary>, RegionError> = Effect.gen(function*() {
  const names = yield* namesIn(shmFolder)
  const ours = names.filter((name) => name.startsWith(regionPrefix)).toSorted()
  const found = yield* Effect.forEach(ours, (name) => inspect(`${shmFolder}/${name}`))
  return found.filter(({ bell }) => bell !== "used")
})

/**
 * Removes a region that no living process holds. Leaves any other file alone. Fails with `recoverable` if the region has a
 * log that a server can continue, unless `discard` is set.
 */
export const removeDead = (
  path: string,
  { discard = false }: { readonly discard?: boolean | undefined } = {}
): Effect.Effect<void, RegionError> =>
  Effect.flatMap(nativeModule, (native) => attempt(path, () => native.removeDeadRegion(path, discard)))

// --- internal ---

/** In the name of a doorbell, behind that of its region (src/native/region/bell_fifo.h). */
const bellMark = ".bell-"

const namesIn = (folder: string): Effect.Effect<ReadonlyArray<string>, RegionError> =>
  Effect.tryPromise({
    try: () => readdir(folder),
    catch: (error) => new RegionError({ fault: "system", region: folder, detail: String(error), hint: "" })
  })

const idOf = (pid: number, foreignPid: true | undefined): ProcessId | undefined =>
  pid === 0 ? undefined : processIdOf({ pid, ...foreignPid === true ? { foreignPid } : {} })

const nameOf = (path: string): string => {
  const file = path.split("/").at(-1) ?? path
  return file.startsWith(regionPrefix) ? file.slice(regionPrefix.length) : file
}
