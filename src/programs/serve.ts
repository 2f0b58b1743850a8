/**
 * `ringfence serve`: creates a region and serves the log in it until it is terminated.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as CxlMemory from "../layers/CxlMemory.ts"
import * as Log from "../layers/Log.ts"
import { epochMicrosMax } from "../layers/log/checkOptions.ts"
import { Diagnostics } from "../services/Diagnostics.ts"
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
import { type Target, targetOf, targetSettings } from "./cli/target.ts"
import { topicsFlag } from "./cli/topic-flags.ts"
import { countFlag } from "./cli/units.ts"
import { lines } from "./cli/usage.ts"
import { describeEvent, describeServing, isNotable, servingEvent } from "./serve/events.ts"

/** As many nodes as the kernel can number. */
const numaNodeMax = 1023

const settings = {
  ...targetSettings,
  ...sizeSettings,
  ...accessSettings,
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
  json: jsonSetting
}

export const serve = Command.make(
  "serve",
  { ...flagsOf(settings), declared: topicsFlag, printConfig: printConfigFlag },
  (input) =>
    configured(
      settings,
      input,
      (config) => Effect.flatMap(targetOf(config), (target) => serveRegion(target, config.values, input.declared))
    )
).pipe(
  Command.withDescription(
    lines(
      "Creates a region of shared memory and serves the log in it until Ctrl-C. Publishers and subscribers find it by its",
      "name. The region is removed at the end; the next start removes what a killed server left."
    )
  ),
  Command.withShortDescription("Serve the log of a region"),
  Command.withExamples([
    { command: "ringfence serve", description: "Serve the region \"default\", sized by the free space" },
    { command: "ringfence serve --topic orders:total:none --topic lines", description: "Declare topics at the start" },
    {
      command: "ringfence serve --region test --brokers 2 --lane-bytes 1MiB",
      description: "A small region with a name"
    }
  ])
)

// --- internal ---

type Values = ValuesOf<typeof settings>

const serveRegion = Effect.fnUntraced(function*(target: Target, values: Values, topics: ReadonlyArray<Topic.Topic>) {
  yield* Effect.forEach(topics, Topic.validate, { discard: true })
  const { coherence, mode, numaNode, prefault } = values
  const group = yield* groupIdOf(values)
  const geometry = sizesAsked(values)
  const options = {
    geometry,
    mode,
    group,
    numaNode,
    coherence,
    prefault,
    processName: "serve",
    onProgress: showPrefault
  }
  const memory = "region" in target
    ? CxlMemory.layerShm({ ...options, region: target.region })
    : CxlMemory.layerFile({ ...options, path: target.path })
  const log = Log.layerServe({ topics, epochLinger: `${values.epochMicros} micros` })
  return yield* serving(target, values.json).pipe(Effect.provide(Layer.provideMerge(log, memory)))
})

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

// Runs until it is interrupted, even when the reader of its output is gone.
const serving = (target: Target, json: boolean) =>
  Effect.gen(function*() {
    endPrefault()
    yield* Termination.use(({ untilTerminated }) => untilTerminated)
    const { events } = yield* Sequencer
    const { snapshot } = yield* Diagnostics
    yield* printEvent(json, "serve", servingEvent(target, yield* snapshot), describeServing).pipe(Effect.ignore)
    yield* events.pipe(
      Stream.filter((event) => json || isNotable(event)),
      Stream.runForEach((event) => Effect.ignore(printEvent(json, "serve", event, describeEvent)))
    )
    return yield* Effect.never
  })
