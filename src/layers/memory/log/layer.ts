/**
 * The whole log in this heap, in plain TypeScript: the executable specification of the native backend.
 *
 * The same rules, batch for batch, without shared memory: one process, no threads, only Effect's clock. A test provides
 * this layer instead of the native layers and changes nothing else; under `TestClock` it is deterministic.
 */
import * as Layer from "effect/Layer"
import type { AckTracker } from "../../../services/AckTracker.ts"
import type { Broker } from "../../../services/Broker.ts"
import type { CxlMemory } from "../../../services/CxlMemory.ts"
import type { Diagnostics } from "../../../services/Diagnostics.ts"
import { type Publisher } from "../../../services/Publisher.ts"
import type { Replica } from "../../../services/Replica.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import type { TopicError } from "../../../services/schema/Topic.ts"
import type { Sequencer } from "../../../services/Sequencer.ts"
import { type Subscriber } from "../../../services/Subscriber.ts"
import { ReplicaDisk } from "../../files/replica/ReplicaDisk.ts"
import type { ReplicasOptions, RestoreOptions } from "../../files/replica/replicaOptions.ts"
import { memoryDisk } from "../files/memoryDisk.ts"
import { layer as layerAckTracker } from "./AckTracker.ts"
import { layer as layerBroker } from "./Broker.ts"
import { layer as layerDiagnostics } from "./Diagnostics.ts"
import { type HeapLog, layer as layerHeapLog, type Options } from "./HeapLog.ts"
import { layer as layerCxlMemory } from "./LogRegion.ts"
import { layer as layerServers, type MemoryServers } from "./MemoryServers.ts"
import { layer as layerPublisher } from "./Publisher.ts"
import { layer as layerReplica, layerReplicaHost } from "./Replicas.ts"
import { layer as layerSequencer } from "./Sequencer.ts"
import { layer as layerSubscriber } from "./Subscriber.ts"

export interface MemoryOptions extends Options, ReplicasOptions, RestoreOptions {}

/** The services that the layer provides. */
export type Provided =
  | CxlMemory
  | Sequencer
  | Broker
  | AckTracker
  | Diagnostics
  | Publisher
  | Subscriber
  | MemoryServers
  | Replica

export const layer = (options: MemoryOptions = {}): Layer.Layer<Provided, RegionError | TopicError> =>
  layerServices(options).pipe(Layer.provide(layerHeapLog(options)))

/** Also provides the log itself, for suites that drive its ports with `openLanes` and `openReader`. */
export const layerWithPorts = (
  options: MemoryOptions = {}
): Layer.Layer<Provided | HeapLog, RegionError | TopicError> =>
  layerServices(options).pipe(Layer.provideMerge(layerHeapLog(options)))

// --- internal ---

const layerServices = (options: MemoryOptions): Layer.Layer<Provided, RegionError | TopicError, HeapLog> =>
  Layer.mergeAll(
    layerBroker,
    layerCxlMemory,
    layerAckTracker,
    layerDiagnostics,
    layerPublisher,
    layerSubscriber,
    layerServers,
    layerReplica
  ).pipe(
    Layer.provideMerge(layerSequencer),
    Layer.provide(layerReplicaHost(options)),
    Layer.provide(Layer.sync(ReplicaDisk, () => options.disk ?? memoryDisk()))
  )
