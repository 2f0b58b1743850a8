/**
 * Runs a log trial over real processes: this process serves, children publish and subscribe, and each child reports its
 * observations at the end.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CxlMemory from "../../layers/CxlMemory.ts"
import * as Log from "../../layers/Log.ts"
import type { Coherence } from "../../services/CxlMemory.ts"
import type { LogSnapshot } from "../../services/Diagnostics.ts"
import { Sequencer } from "../../services/Sequencer.ts"
import { endPrefault, showPrefault } from "../cli/prefault-progress.ts"
import * as Progress from "../cli/progress.ts"
import type { RegionPlan } from "../cli/region-plan.ts"
import { formatCount } from "../cli/units.ts"
import { coresSince } from "../measure/cpu-usage.ts"
import type { ChildProgram } from "../processes/protocol.ts"
import * as Children from "../processes/spawn.ts"
import * as LogMonitor from "./monitor.ts"

interface NamedJob {
  readonly name: string
}

export interface LogRun<PublisherJob extends NamedJob, Published, SubscriberJob extends NamedJob, Seen> {
  /** Label of the progress display; without it the run is silent. */
  readonly label: string | undefined
  readonly region: RegionPlan
  /** Default: coherent. */
  readonly coherence?: Coherence
  readonly serve: Log.ServeOptions
  /** Over all publishers. */
  readonly records: number
  readonly publisher: ChildProgram<PublisherJob, Published>
  readonly publishers: ReadonlyArray<PublisherJob>
  readonly subscriber: ChildProgram<SubscriberJob, Seen>
  readonly subscribers: ReadonlyArray<SubscriberJob>
}

export interface Named<Result> {
  readonly name: string
  readonly result: Result
}

/** The children's observations, and the log's state before the sessions were closed. */
export interface LogOutcome<Published, Seen> {
  readonly publishers: ReadonlyArray<Named<Published>>
  readonly subscribers: ReadonlyArray<Named<Seen>>
  readonly snapshot: LogSnapshot
  /** The largest number of batches seen held at one time. */
  readonly heldPeak: number
  /** Batches that the sequencer dropped as duplicates. */
  readonly duplicates: number
  /** Cores that serving used, from the first record to the last. */
  readonly serverCores: number
}

export const run = <PublisherJob extends NamedJob, Published, SubscriberJob extends NamedJob, Seen>(
  options: LogRun<PublisherJob, Published, SubscriberJob, Seen>
) => {
  const { geometry, name } = options.region
  const serving = Log.layerServe(options.serve).pipe(
    Layer.provideMerge(
      CxlMemory.layerShm({
        region: name,
        geometry,
        coherence: options.coherence,
        processName: options.label ?? "serve",
        ...(options.label === undefined ? {} : { onProgress: showPrefault })
      })
    )
  )
  return runServed(options).pipe(Effect.scoped, Effect.provide(serving))
}

// --- internal ---

/** Often enough to see held batches; a silent run only has to notice a stall. */
const observeMillis = 20
const silentObserveMillis = 500

// Attach the subscribers before the first publisher starts, so that `start` is the first record.
const startChildren = Effect.fnUntraced(
  function*<PublisherJob extends NamedJob, Published, SubscriberJob extends NamedJob, Seen>(
    options: LogRun<PublisherJob, Published, SubscriberJob, Seen>
  ) {
    const subscribers = yield* Effect.forEach(
      options.subscribers,
      (job) => Children.spawn(options.subscriber, job.name, job)
    )
    yield* Children.all(subscribers, ({ ready }) => ready)
    const publishers = yield* Effect.forEach(
      options.publishers,
      (job) => Children.spawn(options.publisher, job.name, job)
    )
    yield* Children.all(publishers, ({ ready }) => ready)
    return { publishers, subscribers }
  }
)

const named = <Result>(children: ReadonlyArray<Children.Child<Result>>) =>
  Children.all(children, ({ name, result }) => Effect.map(result, (result): Named<Result> => ({ name, result })))

const runServed = Effect.fnUntraced(
  function*<PublisherJob extends NamedJob, Published, SubscriberJob extends NamedJob, Seen>(
    options: LogRun<PublisherJob, Published, SubscriberJob, Seen>
  ) {
    if (options.label !== undefined) endPrefault()
    const { publishers, subscribers } = yield* startChildren(options)
    const everyChild: ReadonlyArray<Children.Child<unknown>> = [...publishers, ...subscribers]
    const monitor = yield* LogMonitor.watch(
      () => subscribers.reduce((sum, { progress }) => sum + progress().records, 0),
      options.label === undefined ? silentObserveMillis : observeMillis
    )
    const cores = coresSince()
    yield* Children.all(everyChild, ({ tell }) => tell("begin"))
    const [published, seen] = yield* Effect.all([named(publishers), named(subscribers)], { concurrency: 2 }).pipe(
      Effect.raceFirst(monitor.stalled),
      showing(options.label, options.records, subscribers, monitor)
    )
    const serverCores = cores()
    const { duplicates } = yield* Sequencer.use(({ status }) => status)
    const snapshot = yield* monitor.observe
    yield* Children.all(everyChild, ({ tell }) => tell("end"))
    yield* Children.all(everyChild, ({ finished }) => finished)
    const heldPeak = monitor.heldPeak()
    return { publishers: published, subscribers: seen, snapshot, heldPeak, duplicates, serverCores }
  }
)

// The progress of the slowest subscriber, and what each broker has acknowledged.
const progressState = (
  records: number,
  subscribers: ReadonlyArray<Children.Child<unknown>>,
  snapshot: LogSnapshot
): Progress.ProgressState => {
  const acknowledged = snapshot.brokers.map(({ frontiers }) => frontiers.acknowledgedMessages)
  const sum = acknowledged.reduce((sum, records) => sum + records, 0)
  const delivered = Math.min(...subscribers.map(({ progress }) => progress().records))
  const brokers = acknowledged.map((records, broker) => `B${broker} ${formatCount(records)}`).join("  ")
  return {
    fraction: Math.min(sum, delivered) / records,
    text: `acknowledged ${brokers}  delivered ${formatCount(delivered)}`
  }
}

const showing = (
  label: string | undefined,
  records: number,
  subscribers: ReadonlyArray<Children.Child<unknown>>,
  monitor: LogMonitor.LogMonitor
) =>
<A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  if (label === undefined) return work
  const state = Effect.map(monitor.observe, (snapshot) => progressState(records, subscribers, snapshot))
  return Effect.scoped(Effect.andThen(Progress.show(label, state), work))
}
