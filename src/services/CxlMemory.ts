/**
 * A region of shared memory: where every structure of the log lives.
 *
 * A region is created once, validated by everyone who attaches, and holds the log's lanes, its index and its frontiers.
 * Whether it lies in `/dev/shm`, in a file, in anonymous memory or only in this process's heap is the layer's choice.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { ProcessId } from "./schema/ProcessId.ts"

/** Sizes that are fixed for the life of a region. All counts are checked when it is created and when it is attached. */
export interface Geometry {
  /** Ingest domains, 1 to 32. */
  readonly brokers: number
  /** Sessions that may be open at once, over all topics, 1 to 256. Each has one lane on every broker. */
  readonly clients: number
  /** Topics the region can hold, 1 to 64. */
  readonly topics: number
  /** Subscribers that may be attached to one topic at once, 1 to 64. */
  readonly readers: number
  /** Batches a lane can hold, a power of two, at least 8. */
  readonly laneSlots: number
  /** Payload bytes of a lane: a power of two, at least eight batches of the largest size. */
  readonly laneBytes: number
  /** The largest batch, a power of two, at least 4096. A record is never larger than a batch. */
  readonly batchBytes: number
  /** Batches the index of one topic can hold, a power of two, at least 64. */
  readonly indexEntries: number
  /** Processes that may be attached at once. */
  readonly processes: number
  /** Rings, 0 (none) to 1024. A swarm takes two for each member. */
  readonly rings: number
  /** Readers that may be attached to one ring at once, 1 to 128. */
  readonly ringReaders: number
  /** Bytes of a ring, a power of two, at least 4096. */
  readonly ringBytes: number
}

/**
 * Geometry that suits a handful of processes on one host: 4 brokers, 8 clients, 8 MiB lanes, 256 MiB of payload. Where
 * less than twice of what it takes is free, lanes, batches, index and rings become smaller.
 */
export const defaultGeometry: Geometry = {
  brokers: 4,
  clients: 8,
  topics: 64,
  readers: 16,
  laneSlots: 512,
  laneBytes: 8 * 1024 * 1024,
  batchBytes: 256 * 1024,
  indexEntries: 2048,
  processes: 64,
  rings: 0,
  ringReaders: 16,
  ringBytes: 1024 * 1024
}

/** Why a region could not be created or attached. */
export const RegionFault = Schema.Literals([
  "missing",
  "exists",
  "versionMismatch",
  "truncated",
  "corrupt",
  "notRegion",
  "foreignOwner",
  "notPermitted",
  "noSpace",
  "notServing",
  "notAnswering",
  "full",
  "invalid",
  "busy",
  "unsupported",
  "system"
])
export type RegionFault = typeof RegionFault.Type

/**
 * A region could not be created, attached or used. `hint` says what can be done about it.
 * `noSpace` carries the bytes that were wanted, those that are free, and the `sizes` of the geometry that take most;
 * `full` the `sizes` of which there are too few.
 */
export class RegionError extends Schema.TaggedError<RegionError>()("RegionError", {
  fault: RegionFault,
  region: Schema.String,
  detail: Schema.String,
  hint: Schema.String,
  wantedBytes: Schema.optionalKey(Schema.Number),
  freeBytes: Schema.optionalKey(Schema.Number),
  sizes: Schema.optionalKey(Schema.Array(Schema.String))
}) {
  override get message(): string {
    const where = this.region === "" ? "" : `region "${this.region}": `
    return `${where}${this.detail}${this.hint === "" ? "" : ` (${this.hint})`}`
  }
}

/** Where a region lies. */
export type Backing = "shm" | "file" | "anonymous" | "heap"

export interface RegionInfo {
  readonly name: string
  /** The file behind it, or an empty string. */
  readonly path: string
  readonly backing: Backing
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
 * The region of this program. Its layers create or attach it and release it when their scope closes.
 */
export class CxlMemory extends Context.Service<CxlMemory, {
  readonly info: RegionInfo
  /** Everyone attached, with what the operating system says of their life. */
  readonly processes: Effect.Effect<ReadonlyArray<AttachedProcess>>
  /**
   * Keeps the region in use for as long as this process is attached, also when the one that created it is gone: others
   * can attach, and nobody takes it for a leftover. Its name goes with the last process that holds it. Fails with
   * `missing` when the name is gone already, or is another region's by now: attach again.
   */
  readonly hold: Effect.Effect<void, RegionError>
}>()("ringfence/CxlMemory") {}
