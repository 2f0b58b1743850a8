/**
 * The jobs of the torture's processes, and what they tell the program that tortures them.
 */
import * as Schema from "effect/Schema"
import * as Topic from "../../src/services/schema/Topic.ts"

/** Its records are acknowledged once they are ordered. */
export const TortureTopic = Topic.make("torture", { order: "session", ack: "ordered" })

/** Its records are acknowledged once both replicas have synced them. */
export const StoredTopic = Topic.make("stored", { order: "session", ack: "durable" })

export const topicNamed = (name: string) => name === StoredTopic.name ? StoredTopic : TortureTopic

/** The cursor of the stored topic. */
export const cursorName = "billing"

/** The environment variable with the job of a replica's disk. */
export const diskVariable = "RINGFENCE_TORTURE_DISK"

const job = {
  region: Schema.String,
  name: Schema.String,
  journal: Schema.String,
  seed: Schema.Int,
  topic: Schema.String,
  /** Directories of replicas, where records are read that memory no longer has. */
  history: Schema.Array(Schema.String)
}

export const PublisherJob = Schema.Struct({
  ...job,
  publisher: Schema.Int,
  life: Schema.Int,
  identity: Schema.optionalKey(Schema.String),
  /** Publishes batches late, by up to this: so they overtake each other. */
  skewMillis: Schema.Int,
  burstMost: Schema.Int,
  pauseMost: Schema.Int
})
export type PublisherJob = typeof PublisherJob.Type

export const SubscriberJob = Schema.Struct({
  ...job,
  /** Where it goes on, in the region of that id. In another one it begins at the oldest record. */
  position: Schema.Int,
  regionId: Schema.String
})
export type SubscriberJob = typeof SubscriberJob.Type

export const HolderJob = Schema.Struct(job)
export type HolderJob = typeof HolderJob.Type

/**
 * How far the process is: records that it saw acknowledged or has read, which only rise, and a subscriber's position, which
 * falls when the log is lost.
 */
export interface Reached {
  readonly reached: number
  readonly position: number
}

/** A publisher ends behind what it has sent; a subscriber once it has read to `at`. */
export interface End {
  readonly at: number
}

/** What the disk of a replica does from now on. */
export type DiskFault =
  | { readonly kind: "none" }
  /** So many bytes are free: the write that needs more ends short, and then with `ENOSPC`. */
  | { readonly kind: "full"; readonly freeBytes: number }
  /** Writes or syncs end with `EIO`. What was not synced ahead of a failed sync is gone. */
  | { readonly kind: "failing"; readonly op: "write" | "sync" }
  /** Each sync takes so long. */
  | { readonly kind: "slow"; readonly millis: number }
  /** No sync ends. */
  | { readonly kind: "stuck" }

/** The disk tells that a write or a sync has met its fault. */
export interface Met {
  readonly met: DiskFault["kind"]
}

/** Faults of the product that are planted below replicas, to see that the verdict finds them. */
const diskPlants = ["unsynced", "cursor", "cut", "reused"] as const
export type DiskPlant = typeof diskPlants[number]

/** The same below a reader that may be lapped. */
const readerPlants = ["unproven", "kept"] as const
export type ReaderPlant = typeof readerPlants[number]

export const plants = [...diskPlants, ...readerPlants] as const
export type Plant = typeof plants[number]

export const isDiskPlant = (plant: Plant): plant is DiskPlant => diskPlants.some((one) => one === plant)
export const isReaderPlant = (plant: Plant): plant is ReaderPlant => readerPlants.some((one) => one === plant)

/** What happens to a reader that memory does not wait for: it is told what it has missed, or reads that from files. */
export const LaggardJob = Schema.Struct({
  ...SubscriberJob.fields,
  lag: Schema.Literals(["lapped", "history"]),
  plant: Schema.optionalKey(Schema.Literals(readerPlants))
})
export type LaggardJob = typeof LaggardJob.Type

export const DiskJob = Schema.Struct({
  /** The directories by their replicas' names, each with its journal. */
  replicas: Schema.Array(Schema.Struct({ name: Schema.String, dir: Schema.String, journal: Schema.String })),
  plant: Schema.optionalKey(Schema.Literals(diskPlants))
})
export type DiskJob = typeof DiskJob.Type
