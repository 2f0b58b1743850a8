/**
 * The log of one heap, which all layers of this backend share: its memory, its order, and a waiter for its changes.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Geometry } from "../../../services/schema/Geometry.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import type { Topic, TopicError } from "../../../services/schema/Topic.ts"
import type { SequencerOptions } from "../../../services/Sequencer.ts"
import { historyOf } from "../../files/History.ts"
import type { ReplicaDisk } from "../../files/replica/ReplicaDisk.ts"
import type { ReplicasOptions } from "../../files/replica/replicaOptions.ts"
import { sequencerTimes } from "../../log/checkOptions.ts"
import { type ClientOptions, serverMillisOf } from "../../log/serverDeadline.ts"
import type { History } from "../../ports/History.ts"
import type { LogWaiter } from "../../ports/Waiter.ts"
import { resolveGeometry } from "../region/HeapGeometry.ts"
import { makeLogWaiter } from "../region/RegionWaiter.ts"
import { Heap } from "./LogState.ts"
import { SequencerState } from "./sequencer/SequencerState.ts"
import { nameTopic } from "./Topics.ts"

export interface Options extends SequencerOptions, ClientOptions, Pick<ReplicasOptions, "replicas" | "durableCopies"> {
  /** Topics that are declared before any is opened, and never lose their place to another topic. */
  readonly topics?: ReadonlyArray<Topic<any>> | undefined
  /**
   * How long a reader may hold up publishers, or a gap may last, before it is reported as an event. Default 1 second.
   */
  readonly stallAfter?: Duration.Input | undefined
  /** Sizes that differ from the small ones of this backend: 1 MiB lanes, 64 KiB batches. */
  readonly geometry?: Partial<Geometry> | undefined
  /** Processes that stand by to continue the log when `MemoryServers` kills its server. Default 0. */
  readonly standbys?: number | undefined
  /** Its name in reports and errors. Default `memory`. */
  readonly region?: string | undefined
  /** The disk of its replicas, and of `history`. Default: a disk of its own, which loses nothing. */
  readonly disk?: ReplicaDisk["Service"] | undefined
  /**
   * Directories of replicas: a subscriber that asks for what memory no longer has reads it there, and then joins memory.
   */
  readonly history?: ReadonlyArray<string> | undefined
  /** Lends copies and fills them with 0xDB on release, to expose a view that is kept too long. Default false. */
  readonly poisonReleased?: boolean | undefined
}

export class HeapLog extends Context.Service<HeapLog, {
  readonly heap: Heap
  readonly order: SequencerState
  readonly waiter: LogWaiter
  readonly stallMillis: number
  readonly standbys: number
  readonly poisonReleased: boolean
  /** Where subscribers find what memory no longer has. */
  readonly history: History | undefined
}>()("ringfence/layers/HeapLog") {}

export const layer = (options: Options = {}): Layer.Layer<HeapLog, RegionError | TopicError> =>
  Layer.effect(
    HeapLog,
    Effect.gen(function*() {
      const region = options.region ?? "memory"
      const { epochMicros, leaseMillis, stallMillis } = yield* sequencerTimes(region, options)
      const geometry = yield* resolveGeometry(region, options.geometry)
      const { durableCopies, replicas = [] } = options
      const heap = new Heap(region, geometry, yield* Clock.Clock, durableCopies ?? replicas.length)
      for (const topic of options.topics ?? []) yield* nameTopic(heap, topic)
      const order = new SequencerState(heap, {
        epochMicros,
        leaseMicros: 1000 * leaseMillis,
        manual: options.drive === "manual",
        ignoreSessionOrder: options.unsafeIgnoreSessionOrder === true
      })
      const waiter = makeLogWaiter(heap.members, {
        region,
        clock: heap.clock,
        stopped: () => heap.stopped,
        unservedMicros: () => heap.unservedMicros,
        deadlineMillis: yield* serverMillisOf(region, options)
      })
      const { disk, history = [], poisonReleased = false, standbys = 0 } = options
      const older = disk === undefined || history.length === 0 ? undefined : historyOf(disk.disk, history, heap.id)
      return HeapLog.of({ heap, order, waiter, stallMillis, standbys, poisonReleased, history: older })
    })
  )
