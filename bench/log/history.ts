/**
 * Measures how fast a subscriber reads history: what memory no longer has, out of the files of a replica, beside a plain
 * reader of the same files.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import type { DiskError } from "../../src/layers/ports/Disk.ts"
import { planRegion } from "../../src/programs/cli/region-plan.ts"
import { startReplicas } from "../../src/programs/log-trial/replicas.ts"
import * as Children from "../../src/programs/processes/spawn.ts"
import * as PlainFiles from "../machine/PlainFiles.ts"
import { BenchHistorian, BenchPublisher, benchTopic } from "./jobs.ts"
import { benchFolders, type Figure, replicaJobs, type Scenario } from "./scenarios.ts"

export const historyKeys = {
  plainCold: "plain reader, cold",
  plainWarm: "plain reader, warm",
  cold: "history, cold",
  warm: "history, warm"
} as const

/** All figures, of one log whose files are made once. */
export const historyFigures = Effect.fnUntraced(function*(scenario: Scenario) {
  const durable = { ...scenario, ack: "durable" } as const
  const region = yield* planRegion(`bench-${process.pid}`, {
    brokers: durable.brokers,
    clients: 1,
    readers: 2,
    topics: 1,
    laneBytes: durable.laneBytes,
    batchBytes: durable.batchBytes
  })
  const serving = Log.layerEmbedded({ topics: [benchTopic(durable)] }).pipe(
    Layer.provideMerge(
      CxlMemory.layerShm({ region: region.name, geometry: region.geometry, processName: "serve" })
    )
  )
  const { beginning, dirs: [dir = ""] } = yield* benchFolders(1, durable.totalBytes)
  return yield* Effect.provide(Effect.scoped(measured(durable, region.name, dir, beginning)), serving)
}, Effect.scoped)

// --- internal ---

/** Memory has the newest records: what is read ends ahead of them. */
const readShare = 0.9

const measured = (scenario: Scenario, region: string, dir: string, beginning: Effect.Effect<void, DiskError>) =>
  Effect.gen(function*() {
    yield* startReplicas(replicaJobs(region, [dir]))
    yield* beginning
    const records = Math.floor(scenario.totalBytes / scenario.recordBytes)
    yield* publish(scenario, region, records)
    const topicDir = join(dir, "topics", benchTopic(scenario).name)
    const paths = readdirSync(topicDir).filter((name) => name.endsWith(".segment")).toSorted().map((name) =>
      join(topicDir, name)
    )
    const figure = (key: string, { bytes, seconds }: { readonly bytes: number; readonly seconds: number }): Figure => ({
      key,
      gigabytesPerSecond: bytes / 1e9 / seconds,
      recordsPerSecond: bytes / scenario.recordBytes / seconds,
      agrees: true,
      log: undefined
    })
    const plain = (key: string) => Effect.map(PlainFiles.read(paths), (read) => figure(key, read))
    const history = (key: string) =>
      Effect.map(readHistory(scenario, region, dir, Math.floor(readShare * records)), (read) => figure(key, read))
    const drop = PlainFiles.dropPages(paths)
    // Each side twice, in mirrored order, so that a drift affects them alike.
    const cold = Effect.all([
      Effect.andThen(drop, plain(historyKeys.plainCold)),
      Effect.andThen(drop, history(historyKeys.cold)),
      Effect.andThen(drop, history(historyKeys.cold)),
      Effect.andThen(drop, plain(historyKeys.plainCold))
    ])
    const warm = Effect.all([
      plain(historyKeys.plainWarm),
      history(historyKeys.warm),
      history(historyKeys.warm),
      plain(historyKeys.plainWarm)
    ])
    return [...(yield* cold), ...(yield* warm)]
  })

const publish = (scenario: Scenario, region: string, records: number) =>
  Effect.gen(function*() {
    const publisher = yield* Children.started(BenchPublisher, "publisher", {
      region,
      name: "publisher",
      order: scenario.order,
      ack: scenario.ack,
      recordBytes: scenario.recordBytes,
      sessions: 1,
      warmupRecords: 0,
      records,
      recordsPerSecond: 0
    })
    yield* publisher.tell("begin")
    yield* publisher.result
    yield* Children.end([publisher])
  })

const readHistory = Effect.fnUntraced(function*(scenario: Scenario, region: string, dir: string, records: number) {
  const { ack, order } = scenario
  const historian = yield* Children.started(BenchHistorian, "historian", {
    region,
    name: "historian",
    ack,
    order,
    dir,
    records
  })
  yield* historian.tell("begin")
  const read = yield* historian.result
  yield* Children.end([historian])
  return read
}, Effect.scoped)
