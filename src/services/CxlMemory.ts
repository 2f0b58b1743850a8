/**
 * A region of shared memory: where every structure of the log lives.
 *
 * A region is created once, validated by each process that attaches, and holds the log's lanes, its index and its
 * frontiers, and the rings. The layer decides whether it lies in `/dev/shm`, in a file, in anonymous memory or only in
 * this process's heap.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Geometry } from "./schema/Geometry.ts"
import { continueOrEnd, NamedProcess, ProcessId, showPid } from "./schema/ProcessId.ts"
import type { RegionError } from "./schema/RegionError.ts"
import { unfinished } from "./schema/Server.ts"

/**
 * The log has ended in good order (`stopped`), or the process that served it is dead and no other continued it within the
 * client's `serverDeadline` (`died`), or the log of a dead server was discarded (`replaced`). Acknowledgements stay valid:
 * after `died`, the next server of the region continues the log with all that was acknowledged. `server` names the process
 * that served it last, if it is known, and `successor` one that has begun to continue the log and had not finished then: it
 * may be stopped.
 */
export class RegionLost extends Schema.TaggedError<RegionLost>()("RegionLost", {
  region: Schema.String,
  reason: Schema.Literals(["died", "stopped", "replaced"]),
  server: Schema.optionalKey(Schema.Struct({ ...ProcessId.fields, name: Schema.String })),
  successor: Schema.optionalKey(NamedProcess)
}) {
  override get message(): string {
    const who = this.server === undefined ? "" : ` (${showPid(this.server)}, "${this.server.name}")`
    switch (this.reason) {
      case "died":
        return this.successor === undefined
          ? `the process that served region "${this.region}"${who} died (start a server of the region: it continues the log)`
          : `the process that served region "${this.region}"${who} died, and ${unfinished(this.successor)} (${
            continueOrEnd(this.successor)
          })`
      case "stopped":
        return `region "${this.region}" is no longer served (it was shut down)`
      case "replaced":
        return `the log of region "${this.region}" was discarded after its server${who} died (attach again: the name is free or another region's)`
    }
  }
}

/** How a region's memory makes writes visible to its other processes: by itself, or line by line by instruction. */
export type Coherence = "coherent" | "flushed"

/** What kind of memory a region lies in. */
export type Backing = "shm" | "file" | "anonymous" | "heap"

export interface RegionInfo {
  readonly name: string
  /** The file behind it, or an empty string. */
  readonly path: string
  readonly backing: Backing
  readonly coherence: Coherence
  readonly regionId: string
  readonly bytes: number
  readonly geometry: Geometry
  /** True for the process that created the region and removes it at the end. */
  readonly owner: boolean
}

/** An attached process, as the process table shows it. A stopped process is attached; a dead one is not. */
export interface AttachedProcess extends ProcessId {
  readonly slot: number
  readonly generation: number
  readonly name: string
  readonly alive: boolean
}

/**
 * The region of this program. Its layers create the region or attach to it, and release it when their scope closes.
 *
 * @example
 * ```ts
 * import { CxlMemory } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const stopped = CxlMemory.CxlMemory.use(({ info, processes }) =>
 *   Effect.map(processes, (all) => `${info.name}: ${all.filter(({ alive }) => alive).length} processes`)
 * ).pipe(Effect.provide(CxlMemory.layerAttach({ region: "orders" })))
 * ```
 */
export class CxlMemory extends Context.Service<CxlMemory, {
  readonly info: RegionInfo
  /** All processes that are or were attached, and which of them the operating system says are alive. */
  readonly processes: Effect.Effect<ReadonlyArray<AttachedProcess>>
  /**
   * Keeps the region in use while this process is attached, even after its creator has ended: other processes can
   * attach, and `doctor` does not take it for a leftover. The last process that holds it removes its name. Fails with
   * `missing` when the name has been removed or now names another region: attach again.
   */
  readonly hold: Effect.Effect<void, RegionError>
}>()("ringfence/CxlMemory") {}
