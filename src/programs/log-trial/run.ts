/**
 * Runs a log trial over real processes: children publish and subscribe, and each reports its observations at the end. This
 * process serves, or children do if one of them is to be killed.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as CxlMemory from "../../layers/CxlMemory.ts"
import * as Log from "../../layers/Log.ts"
import type { DiskError } from "../../layers/ports/Disk.ts"
import type { Coherence } from "../../services/CxlMemory.ts"
import type { LogSnapshot } from "../../services/Diagnostics.ts"
import { endPrefault, showPrefault } from "../cli/prefault-progress.ts"
import * as Progress from "../cli/progress.ts"
import type { RegionPlan } from "../cli/region-plan.ts"
import { formatCount } from "../cli/units.ts"
import { coresSince } from "../measure/cpu-usage.ts"
import type { ChildProgram } from "../processes/protocol.ts"
import * as Children from "../processes/spawn.ts"
import { keepAll, type Killed, killOnTheWay, type KillPlan } from "./kill.ts"
import * as LogMonitor from "./monitor.ts"
import { type ReplicaJob, type ReplicaResult, startReplicas, TrialReplica } from "./replicas.ts"
import { type Servers, startServers } from "./servers.ts"

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
  /** Replicas of the durable topics. Default: none. */
  readonly replicas?: ReadonlyArray<ReplicaJob> | undefined
  /** Runs once all children are ready, before they begin. */
  readonly beginning?: Effect.Effect<void, DiskError> | undefined
  /** Kills a process on the way. Then each publisher keeps records back until the word `finish`. */
  readonly kill?: Kill<PublisherJob, Published> | undefined
}

export interface Kill<PublisherJob, Published> extends KillPlan {
  /** The job of the publisher that goes on for the killed one, which is the first: it keeps nothing back. */
  readonly publisherAgain: PublisherJob | undefined
  /** What the killed one had published in that session, if its successor found anything. */
  readonly formerOf: (result: Published, sessionId: number) => Published | undefined
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
  /** Of those that ran to the end. */
  readonly replicas: ReadonlyArray<Named<ReplicaResult>>
  /** The largest number of batches seen held at one time. */
  readonly heldPeak: number
  /** Batches that the sequencer dropped as duplicates. */
  readonly duplicates: number
  /** Cores that this process used, from the first record to the last. */
  readonly serverCores: number
  readonly killed: Killed | undefined
}

export const run = <PublisherJob extends NamedJob, Published, SubscriberJob extends NamedJob, Seen>(
  options: LogRun<PublisherJob, Published, SubscriberJob, Seen>
) =>
  Effect.scoped(Effect.gen(function*() {
    if (options.kill?.role !== "sequencer") {
      return yield* Effect.provide(Effect.scoped(runServed(options, undefined)), servingHere(options))
    }
    const servers = yield* startServers(serverJobOf(options))
    const client = Log.layerClient().pipe(
      Layer.provideMerge(CxlMemory.layerAttach({ region: options.region.name, processName: options.label ?? "trial" }))
    )
    const outcome = yield* Effect.provide(Effect.scoped(runServed(options, servers)), client)
    yield* servers.end
    return outcome
  }))

// --- internal ---

/** Often enough to see held batches; a silent run only has to notice a stall. */
const observeMillis = 20
const silentObserveMillis = 500

type AnyRun = LogRun<any, any, any, any>

const servingHere = ({ coherence, label, region, serve }: AnyRun) =>
  Log.layerEmbedded(serve).pipe(
    Layer.provideMerge(
      CxlMemory.layerShm({
        region: region.name,
        geometry: region.geometry,
        coherence,
        processName: label ?? "serve",
        ...(label === undefined ? {} : { onProgress: showPrefault })
      })
    )
  )

const serverJobOf = ({ coherence, region, serve }: AnyRun) => ({
  region: region.name,
  geometry: region.geometry,
  coherence: coherence ?? "coherent",
  topics: serve.topics ?? [],
  unsafeIgnoreSessionOrder: serve.unsafeIgnoreSessionOrder === true
})

// Attach the subscribers before the first publisher starts, so that `start` is the first record, and the replicas, so that
// nothing waits for them.
const startChildren = Effect.fnUntraced(
  function*<PublisherJob extends NamedJob, Published, SubscriberJob extends NamedJob, Seen>(
    options: LogRun<PublisherJob, Published, SubscriberJob, Seen>
  ) {
    const subscribers = yield* Effect.forEach(
      options.subscribers,
      (job) => Children.spawn(options.subscriber, job.name, job)
    )
    yield* Children.all(subscribers, ({ ready }) => ready)
    const replicas = yield* startReplicas(options.replicas ?? [])
    const publishers = yield* Effect.forEach(
      options.publishers,
      (job) => Children.spawn(options.publisher, job.name, job)
    )
    yield* Children.all(publishers, ({ ready }) => ready)
    return { publishers, replicas, subscribers }
  }
)

/** Fails as soon as one of them does. */
const failingOf = (children: ReadonlyArray<Children.Child<unknown>>): Effect.Effect<never, Children.ChildError> =>
  Effect.andThen(Children.all(children, ({ result }) => result), Effect.never)

const named = <Result>(children: ReadonlyArray<Children.Child<Result>>) =>
  Children.all(children, ({ name, result }) => Effect.map(result, (result): Named<Result> => ({ name, result })))

const runServed = Effect.fnUntraced(
  function*<PublisherJob extends NamedJob, Published, SubscriberJob extends NamedJob, Seen>(
    options: LogRun<PublisherJob, Published, SubscriberJob, Seen>,
    servers: Servers | undefined
  ) {
    if (options.label !== undefined) endPrefault()
    const letGo = yield* keepAll(options.kill?.role === "subscriber" ? options.serve.topics ?? [] : [])
    const { publishers, replicas, subscribers } = yield* startChildren(options)
    const monitor = yield* LogMonitor.watch(
      () => subscribers.reduce((sum, { progress }) => sum + progress().records, 0),
      options.label === undefined ? silentObserveMillis : observeMillis
    )
    if (options.beginning !== undefined) yield* options.beginning
    const cores = coresSince()
    yield* Children.all<void, unknown>([...publishers, ...subscribers], ({ tell }) => tell("begin"))
    const scope = yield* Effect.scope
    const working = Effect.gen(function*() {
      const killed = yield* killing(options, { publishers, subscribers, replicas, servers, letGo, scope })
      const [published, seen] = yield* Effect.all([named(publishers), named(subscribers)], { concurrency: 2 }).pipe(
        Effect.raceFirst(failingOf(replicas))
      )
      return { killed, published: withFormer(options, killed, published), seen }
    })
    const { killed, published, seen } = yield* working.pipe(
      Effect.raceFirst(monitor.stalled),
      showing(options.label, options.records, subscribers, monitor)
    )
    const serverCores = cores()
    const snapshot = yield* monitor.observe
    yield* Children.end([...publishers, ...subscribers])
    yield* Children.end(replicas)
    return {
      publishers: published,
      subscribers: seen,
      replicas: yield* named(replicas),
      snapshot,
      heldPeak: monitor.heldPeak(),
      duplicates: snapshot.sessions.reduce((sum, { duplicates }) => sum + duplicates, 0),
      serverCores,
      killed
    }
  }
)

// A killed publisher counts by what its successor has found of it.
const withFormer = <PublisherJob extends NamedJob, Published>(
  { kill }: LogRun<PublisherJob, Published, any, any>,
  killed: Killed | undefined,
  published: ReadonlyArray<Named<Published>>
): ReadonlyArray<Named<Published>> => {
  const [again] = published
  if (killed?.sessionId === undefined || again === undefined) return published
  const result = kill?.formerOf(again.result, killed.sessionId)
  return result === undefined ? published : [{ name: `${again.name} (killed)`, result }, ...published]
}

interface Cast<Published, Seen> {
  /** As those of the subscribers. */
  readonly publishers: Array<Children.Child<Published>>
  /** One that is killed gives its place to the one that is started again. */
  readonly subscribers: Array<Children.Child<Seen>>
  /** The same. */
  readonly replicas: Array<Children.Child<ReplicaResult>>
  readonly servers: Servers | undefined
  /** Ends the keeping of all records. */
  readonly letGo: Effect.Effect<void>
  /** Ends all of them. */
  readonly scope: Scope.Scope
}

// A killed server is replaced by its standby, a killed subscriber by one that begins again at the first record, a killed
// publisher by one of its identity, and a killed replica by one of its directory.
const killing = Effect.fnUntraced(
  function*<PublisherJob extends NamedJob, Published, SubscriberJob extends NamedJob, Seen>(
    options: LogRun<PublisherJob, Published, SubscriberJob, Seen>,
    { letGo, publishers, replicas, scope, servers, subscribers }: Cast<Published, Seen>
  ) {
    const { kill, records } = options
    if (kill === undefined) return undefined
    if (servers !== undefined) {
      const victim = servers.serving()
      const standby = servers.promote()
      const others = [...publishers, ...subscribers, ...replicas, standby]
      return yield* killOnTheWay(kill.fraction, records, { victim, publishers, others, replace: Effect.void })
    }
    if (kill.role === "publisher") {
      const [again, victim] = [kill.publisherAgain, publishers[0]]
      if (again === undefined || victim === undefined) return undefined
      const replace = Effect.gen(function*() {
        publishers[0] = yield* Scope.provide(Children.started(options.publisher, again.name, again), scope)
        yield* publishers[0].tell("begin")
      })
      const others = [...publishers.slice(1), ...subscribers, ...replicas]
      return yield* killOnTheWay(kill.fraction, records, { victim, publishers: publishers.slice(1), others, replace })
    }
    if (kill.role === "replica") {
      const [job, victim] = [options.replicas?.[0], replicas[0]]
      if (job === undefined || victim === undefined) return undefined
      const replace = Effect.gen(function*() {
        replicas[0] = yield* Scope.provide(Children.started(TrialReplica, job.name, job), scope)
      })
      const others = [...publishers, ...subscribers, ...replicas.slice(1)]
      return yield* killOnTheWay(kill.fraction, records, { victim, publishers, others, replace })
    }
    const [job, victim] = [options.subscribers[0], subscribers[0]]
    if (job === undefined || victim === undefined) return undefined
    const replace = Effect.gen(function*() {
      subscribers[0] = yield* Scope.provide(Children.started(options.subscriber, job.name, job), scope)
      yield* letGo
      yield* subscribers[0].tell("begin")
    })
    const others = [...publishers, ...subscribers.slice(1), ...replicas]
    return yield* killOnTheWay(kill.fraction, records, { victim, publishers, others, replace })
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
