/**
 * Layers of the log: a server, a client, both in one process, or the whole log in this heap.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AckTracker } from "../services/AckTracker.ts"
import type { Broker } from "../services/Broker.ts"
import { CxlMemory, type RegionLost } from "../services/CxlMemory.ts"
import type { Diagnostics } from "../services/Diagnostics.ts"
import type { Publisher } from "../services/Publisher.ts"
import type { Replica } from "../services/Replica.ts"
import type { RegionError } from "../services/schema/RegionError.ts"
import type { Topic, TopicError } from "../services/schema/Topic.ts"
import type { Sequencer } from "../services/Sequencer.ts"
import type { Subscriber } from "../services/Subscriber.ts"
import type { Provided } from "./CxlMemory.ts"
import { historyOf } from "./files/History.ts"
import { layerClientReplica } from "./files/replica/clientReplica.ts"
import { GivenDisk, ReplicaDisk } from "./files/replica/ReplicaDisk.ts"
import { layerHost, layerReplica as layerServerReplica, type ReplicaHost } from "./files/replica/ReplicaHost.ts"
import type {
  ReplicaClientOptions as ReplicaOfClient,
  ReplicasOptions,
  RestoreOptions
} from "./files/replica/replicaOptions.ts"
import type { WritingError } from "./files/replica/runReplica.ts"
import type { ClientOptions } from "./log/serverDeadline.ts"
import { layer as memory, type MemoryOptions, type Provided as MemoryProvided } from "./memory/log/layer.ts"
import * as NativeAckTracker from "./native/log/AckTracker.ts"
import * as NativeBroker from "./native/log/Broker.ts"
import { clientRegion } from "./native/log/ClientRegion.ts"
import * as NativeDiagnostics from "./native/log/Diagnostics.ts"
import * as NativePublisher from "./native/log/Publisher.ts"
import { layer as layerReplicatedLog } from "./native/log/ReplicatedLog.ts"
import * as NativeSequencer from "./native/log/Sequencer.ts"
import * as NativeStandby from "./native/log/Standby.ts"
import * as NativeSubscriber from "./native/log/Subscriber.ts"
import { keepTopic } from "./native/log/Topics.ts"
import { nativeFileLock } from "./native/region/FileLock.ts"
import { nodeDisk } from "./node/NodeDisk.ts"

export type { ReplicasOptions, Restored, RestoredTopic, RestoreOptions } from "./files/replica/replicaOptions.ts"
export type { ClientOptions } from "./log/serverDeadline.ts"

/**
 * `serverDeadline` of a server: how long its start waits while another process takes the log over, or stopped processes
 * hold all places of servers.
 */
export interface ServeOptions extends NativeSequencer.Options, ReplicasOptions, RestoreOptions {
  /** Topics that are declared before any process attaches, and never lose their place to another topic. */
  readonly topics?: ReadonlyArray<Topic<any>> | undefined
}

export interface LogClientOptions extends ClientOptions {
  /**
   * Directories of replicas on this host: a subscriber that asks for what memory no longer has reads it there, and then
   * joins memory, without a gap or a duplicate. The process must be allowed to read them. Default: none.
   */
  readonly history?: ReadonlyArray<string> | undefined
}

export interface ReplicaClientOptions extends ReplicaOfClient, ClientOptions {}

/** What keeps {@link layerReplica} from opening its directory. */
export type ReplicaClientError = RegionError | WritingError

export interface StandbyOptions extends ServeOptions, NativeStandby.StandbyOptions {}

// Fresh: a layer graph builds a layer once, and one shared by two regions would show the first region for both.
const layerViews = Layer.fresh(Layer.mergeAll(NativeAckTracker.layer, NativeDiagnostics.layer))

/** The services of a server. */
export type Served = Sequencer | Broker | AckTracker | Diagnostics | Replica

/** The services of a client. */
export type Client = Publisher | Subscriber | AckTracker | Diagnostics

/**
 * Serves the log of the region: sequencer, brokers and replicas. Continues the log that a killed server left in the region, with its
 * living clients. At the end of the scope the log ends, unless `keep` is set.
 */
export const layerServe = (
  options: ServeOptions = {}
): Layer.Layer<Served, RegionError | TopicError, Provided> => servedBy(NativeSequencer.layer(options), options)

/**
 * Serves the log once no other process does: ready when this one serves. Until then it waits in the region, which it
 * keeps in use. Any number of processes may stand by; one of them takes over within a fraction of a second after the
 * server was killed. Fails with `RegionLost` when the log ends in good order.
 *
 * @example
 * ```ts
 * import { CxlMemory, Log, Sequencer } from "ringfence"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 *
 * const Standby = Log.layerStandby().pipe(Layer.provideMerge(CxlMemory.layerShm({ region: "orders", share: true })))
 * const program = Sequencer.use(({ lost }) => lost).pipe(Effect.provide(Standby))
 * ```
 */
export const layerStandby = (
  options: StandbyOptions = {}
): Layer.Layer<Served, RegionError | TopicError | RegionLost, Provided> =>
  servedBy(NativeStandby.layer(options), options)

/**
 * Publishes and subscribes. Another process serves the log, or {@link layerServe} in this one. When the server is killed,
 * what waits goes on waiting until another process continues the log, at most for `serverDeadline`. A layer graph builds
 * it anew for each region that it is provided with.
 */
export const layerClient = (options: LogClientOptions = {}): Layer.Layer<Client, RegionError, Provided> =>
  Layer.fresh(
    Layer.mergeAll(NativePublisher.layer(options), subscriberOf(options), layerViews)
  )

/**
 * Writes a replica of the log's durable topics in this process, as a client of the log: ready once its directory is open.
 * Fails with `ReplicaBusy`, which names the process, if another one writes the directory, and with `ReplicaForeign` if it
 * holds another log. The replica goes on over a takeover of the server, and ends with the scope or after the log, which
 * `Replica.ended` tells.
 *
 * @example
 * ```ts
 * import { CxlMemory, Log, Replica } from "ringfence"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 *
 * // Two processes do this, each with the other's directory as its peer: a record is acknowledged once both have it.
 * const Disk = Log.layerReplica({ dir: "/var/lib/shop/a", peers: ["/mnt/other/shop"] }).pipe(
 *   Layer.provide(CxlMemory.layerAttach({ region: "shop" }))
 * )
 * const program = Replica.use(({ ended }) => ended).pipe(Effect.provide(Disk))
 * ```
 */
export const layerReplica = (
  options: ReplicaClientOptions
): Layer.Layer<Replica, ReplicaClientError, Provided> =>
  Layer.fresh(
    Layer.unwrap(
      Effect.map(CxlMemory, ({ info }) => layerClientReplica({ ...options, regionId: info.regionId, lookMillis }))
    )
  ).pipe(
    Layer.provide(Layer.fresh(layerReplicatedLog(options))),
    Layer.provide(layerReplicaDisk)
  )

/** Serves the log and uses it, in one process. Other processes may attach too. */
export const layerEmbedded = (
  options: ServeOptions = {}
): Layer.Layer<Served | Client, RegionError | TopicError, Provided> =>
  layerClient(options).pipe(Layer.provideMerge(layerServe(options)))

/**
 * The whole log in this heap, in plain TypeScript, with the same promises: for tests, where it is deterministic under
 * `TestClock`, and for platforms without the native module.
 */
export const layerMemory: (options?: MemoryOptions) => Layer.Layer<MemoryProvided, RegionError | TopicError> = (
  options
) =>
  // A graph builds one log for each call; `fresh` keeps two calls from sharing their inner layers.
  Layer.suspend(() => Layer.fresh(memory(options)))

export type { MemoryOptions, Provided as MemoryProvided } from "./memory/log/layer.ts"
export { MemoryServers } from "./memory/log/MemoryServers.ts"

// --- internal ---

// The brokers grant lanes in the block of a sequencer that runs. Replicas end after it, when all is ordered.
const servedBy = <E>(
  sequencer: Layer.Layer<Sequencer, E, Provided>,
  options: ServeOptions
): Layer.Layer<Served, E | RegionError | TopicError, Provided> =>
  Layer.mergeAll(Layer.fresh(NativeBroker.layer), layerViews, Layer.fresh(layerServerReplica)).pipe(
    Layer.provideMerge(sequencer),
    Layer.provide(replicasOf(options)),
    Layer.tap(() => declareTopics(options.topics ?? []))
  )

const replicasOf = (
  options: ReplicasOptions & RestoreOptions
): Layer.Layer<ReplicaHost, RegionError | TopicError, Provided> =>
  Layer.unwrap(
    Effect.map(CxlMemory, ({ info }) => layerHost({ ...options, regionId: info.regionId, lookMillis }))
  ).pipe(
    Layer.provide(Layer.fresh(layerReplicatedLog())),
    Layer.provide(layerReplicaDisk)
  )

/** How often replicas may look for new topics: each look inspects the whole log. */
const lookMillis = 20

const ownDisk: ReplicaDisk["Service"] = { disk: nodeDisk, lock: nativeFileLock }

const layerReplicaDisk = Layer.effect(ReplicaDisk, Effect.map(GivenDisk, (given) => given ?? ownDisk))

const subscriberOf = (options: LogClientOptions) =>
  Layer.unwrap(Effect.map(GivenDisk, (given) => {
    const { history = [] } = options
    const { disk } = given ?? ownDisk
    const older = history.length === 0 ? undefined : (regionId: string) => historyOf(disk, history, regionId)
    return NativeSubscriber.layer(options, older)
  }))

const declareTopics = (topics: ReadonlyArray<Topic<any>>): Effect.Effect<void, RegionError | TopicError, Provided> =>
  Effect.gen(function*() {
    const region = yield* clientRegion()
    for (const topic of topics) yield* keepTopic(region, topic)
  })
