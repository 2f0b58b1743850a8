/**
 * Layers of the log: a server, a client, both in one process, or the whole log in this heap.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AckTracker } from "../services/AckTracker.ts"
import type { Broker } from "../services/Broker.ts"
import type { Diagnostics } from "../services/Diagnostics.ts"
import type { Publisher } from "../services/Publisher.ts"
import type { RegionError } from "../services/schema/RegionError.ts"
import type { Topic, TopicError } from "../services/schema/Topic.ts"
import type { Sequencer, SequencerOptions } from "../services/Sequencer.ts"
import type { Subscriber } from "../services/Subscriber.ts"
import type { Provided } from "./CxlMemory.ts"
import { layer as memory, type MemoryOptions, type Provided as MemoryProvided } from "./memory/log/layer.ts"
import * as NativeAckTracker from "./native/log/AckTracker.ts"
import * as NativeBroker from "./native/log/Broker.ts"
import * as NativeDiagnostics from "./native/log/Diagnostics.ts"
import * as NativePublisher from "./native/log/Publisher.ts"
import * as NativeSequencer from "./native/log/Sequencer.ts"
import * as NativeSubscriber from "./native/log/Subscriber.ts"
import { keepTopic } from "./native/log/Topics.ts"
import { NativeRegion } from "./native/region/NativeRegion.ts"

export interface ServeOptions extends SequencerOptions {
  /** Topics that are declared before any process attaches, and never lose their place to another topic. */
  readonly topics?: ReadonlyArray<Topic<any>> | undefined
  /**
   * How long a reader may hold up publishers, or a gap may last, before the server reports an event. Default 1 second.
   */
  readonly stallAfter?: Duration.Input | undefined
}

// Fresh: a layer graph builds a layer once, and one shared by two regions would show the first region for both.
const layerViews = Layer.fresh(Layer.mergeAll(NativeAckTracker.layer, NativeDiagnostics.layer))

/** The services of a server. */
export type Served = Sequencer | Broker | AckTracker | Diagnostics

/** The services of a client. */
export type Client = Publisher | Subscriber | AckTracker | Diagnostics

/** Serves the log of the region that this process created: sequencer and brokers. */
export const layerServe = (
  options: ServeOptions = {}
): Layer.Layer<Served, RegionError | TopicError, Provided> =>
  Layer.mergeAll(NativeSequencer.layer(options), Layer.fresh(NativeBroker.layer), layerViews).pipe(
    Layer.tap(() => declareTopics(options.topics ?? []))
  )

/**
 * Publishes and subscribes. Another process serves the log, or {@link layerServe} in this one. A layer graph builds it
 * anew for each region that it is provided with.
 */
export const layerClient: Layer.Layer<Client, never, Provided> = Layer.fresh(
  Layer.mergeAll(NativePublisher.layer, NativeSubscriber.layer, layerViews)
)

/** Serves the log and uses it, in one process. Other processes may attach too. */
export const layerEmbedded = (
  options: ServeOptions = {}
): Layer.Layer<Served | Client, RegionError | TopicError, Provided> =>
  layerClient.pipe(Layer.provideMerge(layerServe(options)))

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

// --- internal ---

const declareTopics = (topics: ReadonlyArray<Topic<any>>) =>
  Effect.gen(function*() {
    const region = yield* NativeRegion
    for (const topic of topics) yield* keepTopic(region, topic)
  })
