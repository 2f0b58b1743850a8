/**
 * A backend of layers under test: the same suites run over each.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { ReplicaDisk } from "../../src/layers/files/replica/ReplicaDisk.ts"
import type * as Log from "../../src/layers/Log.ts"
import type { Admission } from "../../src/layers/log/sessionAdmission.ts"
import type { LanePort } from "../../src/layers/ports/LanePort.ts"
import type { ReplicatedLog } from "../../src/layers/ports/ReplicatedLog.ts"
import type { CxlMemory } from "../../src/services/CxlMemory.ts"
import type { OpenPublisherError, PublisherOptions } from "../../src/services/Publisher.ts"
import type { Geometry } from "../../src/services/schema/Geometry.ts"
import type { RegionError } from "../../src/services/schema/RegionError.ts"
import type { Topic, TopicError } from "../../src/services/schema/Topic.ts"
import type { ManualLog } from "../faults/manual.ts"

export interface BackendOptions {
  readonly geometry?: Partial<Geometry>
  readonly serve?: Log.ServeOptions
  /** The disk of replicas and of history. */
  readonly disk?: ReplicaDisk["Service"]
  /** Directories of replicas that subscribers read. */
  readonly history?: ReadonlyArray<string>
}

/** The servers of a log that outlives them. */
export class Relay extends Context.Service<Relay, {
  /** Ends the server, but not its log. */
  readonly end: Effect.Effect<void>
  /** Starts another server, which continues the log. */
  readonly start: Effect.Effect<void, RegionError | TopicError>
}>()("test/Relay") {}

/** Opens the lanes of sessions, which a test may then obstruct before it makes publishers over them. */
export class OpenLanes extends Context.Service<OpenLanes, {
  readonly open: (
    topic: Topic,
    options: PublisherOptions,
    continues: number
  ) => Effect.Effect<LanePort, OpenPublisherError, Scope.Scope>
  /** The same as an opening that goes on when nobody waits for it any more. */
  readonly admit: (topic: Topic, options: PublisherOptions, continues: number) => Effect.Effect<
    Admission,
    never,
    Scope.Scope
  >
}>()("test/OpenLanes") {}

export interface RelayOptions extends BackendOptions {
  readonly client?: Log.ClientOptions
}

export interface Backend {
  readonly name: string
  /** A disk that begins empty, and a directory on it for all that a test writes. */
  readonly disk: Effect.Effect<{ readonly disk: ReplicaDisk["Service"]; readonly root: string }, never, Scope.Scope>
  /** The whole log in one process. */
  readonly embedded: (
    options?: BackendOptions
  ) => Layer.Layer<Log.Served | Log.Client | CxlMemory, RegionError | TopicError>
  /** The same, with the port under its publishers. */
  readonly withLanes: (
    options?: BackendOptions
  ) => Layer.Layer<Log.Served | Log.Client | CxlMemory | OpenLanes, RegionError | TopicError>
  /** The same, with the port under its replicas. */
  readonly replicated: (
    options?: BackendOptions
  ) => Layer.Layer<Log.Served | Log.Client | CxlMemory | ReplicatedLog, RegionError | TopicError>
  /** A client of a log, and its servers, one after the other. The first one serves. */
  readonly relay: (options?: RelayOptions) => Layer.Layer<Log.Client | ReplicatedLog | Relay, RegionError | TopicError>
  /** Runs over a log that advances only by steps. */
  readonly manual: <A, E>(
    geometry: Partial<Geometry>,
    run: (log: ManualLog) => Effect.Effect<A, E, Scope.Scope>
  ) => Effect.Effect<A, E | RegionError | TopicError>
}

/** Small lanes, so that suites reach every edge quickly. */
export const smallGeometry: Partial<Geometry> = {
  brokers: 4,
  clients: 4,
  topics: 4,
  readers: 4,
  laneSlots: 16,
  laneBytes: 64 * 1024,
  batchBytes: 4096,
  indexEntries: 64,
  processes: 8
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
