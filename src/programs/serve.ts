/**
 * `ringfence serve`: creates a region and serves the log in it until it is terminated.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as CxlMemory from "../layers/CxlMemory.ts"
import * as Log from "../layers/Log.ts"
import { defaultLeaseMillis, epochMicrosMax } from "../layers/log/checkOptions.ts"
import { defaultServerMillis } from "../layers/log/serverDeadline.ts"
import { suspectMillisMin } from "../layers/log/Suspicion.ts"
import * as Regions from "../layers/Regions.ts"
import type { RegionLost } from "../services/CxlMemory.ts"
import { Diagnostics } from "../services/Diagnostics.ts"
import { showPid } from "../services/schema/ProcessId.ts"
import type { Server } from "../services/schema/Server.ts"
import * as Topic from "../services/schema/Topic.ts"
import { Sequencer } from "../services/Sequencer.ts"
import { coherenceSetting } from "./cli/coherence-flag.ts"
import { Termination } from "./cli/main.ts"
import { endPrefault, showPrefault } from "./cli/prefault-progress.ts"
import { accessSettings, groupIdOf } from "./cli/region-access.ts"
import { printEvent } from "./cli/report.ts"
import {
  configured,
  flagsOf,
  jsonSetting,
  openSetting,
  printConfigFlag,
  setting,
  type ValuesOf
} from "./cli/settings.ts"
import { sizeSettings } from "./cli/size-settings.ts"
import { pathOf, type Target, targetOf, targetSettings } from "./cli/target.ts"
import { topicsFlag } from "./cli/topic-flags.ts"
import { countFlag, millisFlag, writtenMillis } from "./cli/units.ts"
import { lines } from "./cli/usage.ts"
import {
  describeEvent,
  describeLogEnded,
  describeServing,
  describeStandingBy,
  isNotable,
  logEndedEvent,
  servingEvent,
  standingByEvent
} from "./serve/events.ts"
import { describeRestored, replicaSettings, replicasFlag, replicasOf, tellingReplicas } from "./serve/replicas.ts"

const suspectFlag = (name: string): Flag.Flag<number> =>
  Flag.filter(millisFlag(name), (millis) => millis >= suspectMillisMin, () => `at least ${suspectMillisMin}ms`)

/** As many nodes as the kernel can number. */
const numaNodeMax = 1023

const settings = {
  ...targetSettings,
  ...sizeSettings,
  ...accessSettings,
  ...replicaSettings,
  prefault: setting("prefault", (name) => Flag.Boolean(name), {
    description: "Fault in all memory at the start, so that no record pays for it; --no-prefault starts at once",
    fallback: true
  }),
  numaNode: openSetting("numa-node", (name) => countFlag(name, numaNodeMax, 0), {
    description: "The NUMA node whose memory the region takes",
    shown: "where the system puts it"
  }),
  coherence: coherenceSetting,
  epochMicros: setting("epoch-micros", (name) => countFlag(name, epochMicrosMax, 0), {
    description: "The longest time in microseconds that an ordered batch waits to be committed with others",
    fallback: 500
  }),
  leaseMillis: setting("lease", millisFlag, {
    description: "How long a batch of a publisher may be missing before its session is fenced; 0ms waits for ever",
    fallback: defaultLeaseMillis,
    show: writtenMillis
  }),
  standby: setting("standby", (name) => Flag.Boolean(name), {
    description: "If another process serves the region, wait attached to it and take over when that process dies",
    fallback: false
  }),
  takeoverSuspect: openSetting("takeover-suspect", (name) => suspectFlag(name), {
    description:
      "With --standby: also take over from a server that lives but has not run for so long, as a stopped one",
    shown: "never"
  }),
  fresh: setting("fresh", (name) => Flag.Boolean(name), {
    description: "Discard a log that a dead server left, instead of continuing it, and say what it held",
    fallback: false
  }),
  keep: setting("keep", (name) => Flag.Boolean(name), {
    description: "Leave the log in the region at the end, for a standby or the next serve to continue it",
    fallback: false
  }),
  serverMillis: setting("server-deadline", millisFlag, {
    description: "How long to wait while another process recovers the log, or stopped ones hold all places of servers",
    fallback: defaultServerMillis,
    show: writtenMillis
  }),
  json: jsonSetting
}

/** A standby was told to restore. */
export class RestoreAmbiguous extends Schema.TaggedError<RestoreAmbiguous>()("RestoreAmbiguous", {}) {
  override get message(): string {
    return "--restore and --standby exclude each other: a log is restored into a new region (start the standby afterwards)"
  }
}

export const serve = Command.make(
  "serve",
  { ...flagsOf(settings), declared: topicsFlag, replicas: replicasFlag, printConfig: printConfigFlag },
  (input) =>
    configured(
      settings,
      input,
      (config) => Effect.flatMap(targetOf(config), (target) => serveRegion(target, config.values, input))
    )
).pipe(
  Command.withDescription(
    lines(
      "Creates a region of shared memory and serves the log in it until Ctrl-C. Publishers and subscribers find it by its",
      "name. At the end the log ends and the region is removed, unless --keep is given. After a kill the next start",
      "continues the log with its living clients, and a process started with --standby does so at once."
    )
  ),
  Command.withShortDescription("Serve the log of a region"),
  Command.withExamples([
    { command: "ringfence serve", description: "Serve the region \"default\", sized by the free space" },
    { command: "ringfence serve --topic orders:total:none --topic lines", description: "Declare topics at the start" },
    {
      command: "ringfence serve --region test --brokers 2 --lane-bytes 1MiB",
      description: "A small region with a name"
    },
    { command: "ringfence serve --standby --keep", description: "Serve, or stand by while another process serves" },
    {
      command: "ringfence serve --topic orders:session:durable --replica /var/lib/orders",
      description: "Acknowledge orders once they are on the disk"
    }
  ])
)

// --- internal ---

type Values = ValuesOf<typeof settings>

interface Inputs {
  readonly declared: ReadonlyArray<Topic.Topic>
  readonly replicas: ReadonlyArray<string>
}

const serveRegion = Effect.fnUntraced(function*(target: Target, values: Values, inputs: Inputs) {
  yield* Effect.forEach(inputs.declared, Topic.validate, { discard: true })
  if (values.standby && values.restore !== undefined) return yield* new RestoreAmbiguous()
  const memory = yield* memoryOf(target, values)
  const { untilTerminated } = yield* Termination
  const onWaiting = (server: Server) => Effect.andThen(untilTerminated, standingBy(target, values.json, server))
  const log = logOf(values, inputs, onWaiting)
  return yield* serving(target, values.json).pipe(
    Effect.provide(Layer.provideMerge(log, memory)),
    Effect.catchIf(isTaken, (error) => Effect.flatMap(namingServer(target, error), Effect.fail)),
    Effect.catchTag("RegionLost", (lost) => logEnded(values.json, lost))
  )
})

const isTaken = (error: unknown): error is CxlMemory.RegionError =>
  error instanceof CxlMemory.RegionError && error.fault === "exists"

// It may be stopped: then the name comes free only once that process is continued or ended.
const namingServer = (target: Target, error: CxlMemory.RegionError) =>
  Effect.map(Effect.option(Regions.inspect(pathOf(target))), (found) => {
    const server = Option.getOrUndefined(found)?.server
    if (server === undefined || error.detail.includes(showPid(server))) return error
    return new CxlMemory.RegionError({ ...error, detail: `${error.detail}, and ${showPid(server)} serves it` })
  })

const memoryOf = Effect.fnUntraced(function*(target: Target, values: Values) {
  const { coherence, fresh, mode, numaNode, prefault, restore, standby } = values
  const options: CxlMemory.CreateOptions = {
    geometry: sizesAsked(values),
    mode,
    group: yield* groupIdOf(values),
    numaNode,
    coherence,
    prefault,
    leftLog: fresh ? "discard" : restore === undefined ? "continue" : "refuse",
    share: standby,
    processName: "serve",
    onProgress: showPrefault
  }
  return "region" in target
    ? CxlMemory.layerShm({ ...options, region: target.region })
    : CxlMemory.layerFile({ ...options, path: target.path })
})

const logOf = (
  values: Values,
  { declared, replicas }: Inputs,
  onWaiting: (server: Server) => Effect.Effect<void>
): Layer.Layer<Log.Served, CxlMemory.RegionError | Topic.TopicError | RegionLost, CxlMemory.Provided> => {
  const { epochMicros, json, keep, leaseMillis, serverMillis, standby, takeoverSuspect } = values
  const options: Log.ServeOptions = {
    ...replicasOf(replicas, values),
    onRestored: (restored) =>
      Effect.andThen(
        Effect.sync(endPrefault),
        Effect.ignore(printEvent(json, "serve", { _tag: "Restored" as const, ...restored }, describeRestored))
      ),
    topics: declared,
    epochLinger: `${epochMicros} micros`,
    lease: leaseMillis,
    keep,
    serverDeadline: serverMillis
  }
  return standby ? Log.layerStandby({ ...options, takeoverSuspect, onWaiting }) : Log.layerServe(options)
}

const standingBy = (target: Target, json: boolean, server: Server) =>
  Effect.suspend(() => {
    endPrefault()
    return Effect.ignore(printEvent(json, "serve", standingByEvent(target, server), describeStandingBy))
  })

// The log ended in good order while this process stood by: there is nothing left to do.
const logEnded = (json: boolean, { region }: RegionLost) =>
  Effect.ignore(printEvent(json, "serve", logEndedEvent(region), describeLogEnded))

// Sizes that are not set follow the free space.
const sizesAsked = ({ batchBytes, brokers, clients, indexEntries, laneBytes, laneSlots, topics }: Values) => ({
  brokers,
  clients,
  topics,
  ...(laneBytes === undefined ? {} : { laneBytes }),
  ...(batchBytes === undefined ? {} : { batchBytes }),
  ...(laneSlots === undefined ? {} : { laneSlots }),
  ...(indexEntries === undefined ? {} : { indexEntries })
})

// Runs until it is interrupted, even when the reader of its output is gone, or until another process takes the log over.
const serving = (target: Target, json: boolean) =>
  Effect.gen(function*() {
    endPrefault()
    yield* Termination.use(({ untilTerminated }) => untilTerminated)
    const { events, lost } = yield* Sequencer
    const { snapshot } = yield* Diagnostics
    yield* printEvent(json, "serve", servingEvent(target, yield* snapshot), describeServing).pipe(Effect.ignore)
    yield* Effect.forkScoped(tellingReplicas(json, "serve"))
    return yield* events.pipe(
      Stream.filter((event) => json || isNotable(event)),
      Stream.runForEach((event) => Effect.ignore(printEvent(json, "serve", event, describeEvent))),
      Effect.andThen(Effect.never),
      Effect.raceFirst(lost)
    )
  }).pipe(Effect.scoped)
