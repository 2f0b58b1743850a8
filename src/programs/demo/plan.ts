/**
 * Plans a demonstration: decides and checks all settings before anything starts.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Coherence } from "../../services/CxlMemory.ts"
import { defaultGeometry, type Geometry } from "../../services/schema/Geometry.ts"
import { collect, defaultInput, type InputFile } from "../cli/input-files.ts"
import { planRegion, type RegionPlan, removeLeftovers } from "../cli/region-plan.ts"
import { formatBytes, formatCount, formatMillis, plural } from "../cli/units.ts"
import type { KillPlan } from "../log-trial/kill.ts"
import { newMacKey } from "../measure/mac.ts"
import type { DemoAck } from "./jobs.ts"
import { removeLeftFolders, replicaParent, replicaRoom } from "./replica-folder.ts"

/** An option that the other options or this machine do not allow. */
export class DemoImpossible extends Schema.TaggedError<DemoImpossible>()("DemoImpossible", {
  option: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.option}: ${this.detail}`
  }
}

export interface DemoOptions {
  readonly paths: ReadonlyArray<string>
  readonly brokers: number
  readonly publishers: number
  readonly subscribers: number
  /** Default: {@link defaultMinBytes}, less under `--kill` or with replicas, or once the given files. */
  readonly minBytes: number | undefined
  readonly recordBytes: number
  readonly skewMillis: number
  readonly coherence: Coherence
  readonly unsafeIgnoreSessionOrder: boolean
  readonly kill: KillPlan | undefined
  /** Processes that write a replica each. */
  readonly replicas: number
  readonly ack: DemoAck
}

export interface DemoPlan {
  readonly options: DemoOptions
  readonly region: RegionPlan
  readonly paths: ReadonlyArray<string>
  readonly files: ReadonlyArray<InputFile>
  /** Bytes of the files, once. */
  readonly inputBytes: number
  readonly totalBytes: number
  readonly records: number
  /** Of all checksums of this run. */
  readonly macKey: string
}

/** The size up to which the default input is repeated. Given files are published once unless a size is given too. */
export const defaultMinBytes = 1024 * 1024 * 1024

/** The same under `--kill`, where the log keeps a part of it for the process that is started again. */
export const defaultKillMinBytes = 256 * 1024 * 1024

/** The same with replicas, which write each byte to disk: seconds on a slow one. */
export const defaultReplicatedMinBytes = 64 * 1024 * 1024

export const plan = Effect.fnUntraced(function*(options: DemoOptions) {
  yield* checkReplicas(options)
  const paths = options.paths.length > 0 ? options.paths : [yield* defaultInput]
  const files = yield* collect(paths)
  const inputBytes = files.reduce((sum, { bytes }) => sum + bytes, 0)
  const minBytes = options.minBytes ?? (options.paths.length > 0 ? 0 : defaultBytes(options))
  // Make whole passes, so that the input ends at the end of the last file.
  const totalBytes = inputBytes * Math.max(1, Math.ceil(minBytes / inputBytes))
  yield* removeLeftovers("demo-")
  yield* removeLeftFolders
  const region = yield* planRegion(`demo-${process.pid}`, {
    brokers: options.brokers,
    clients: options.publishers,
    readers: options.subscribers + keepersOf(options) + replicaReadersOf(options),
    topics: 1,
    ...lanesFor(options, totalBytes)
  })
  if (options.recordBytes > region.geometry.batchBytes) {
    const detail = `a record has at most ${formatBytes(region.geometry.batchBytes)} in a region of this size`
    return yield* new DemoImpossible({ option: "--record-bytes", detail })
  }
  yield* checkRoom(options, totalBytes, region.geometry)
  yield* checkDisk(options, totalBytes)
  const records = Math.ceil(totalBytes / options.recordBytes)
  return { options, region, paths, files, inputBytes, totalBytes, records, macKey: newMacKey() } satisfies DemoPlan
})

/** The plan in a few lines of text. */
export const describe = ({ files, inputBytes, options, paths, records, region, totalBytes }: DemoPlan): string => {
  const passes = totalBytes / inputBytes
  const repeated = passes === 1 ? "once" : `${formatCount(passes)} times over`
  const { brokers, laneBytes } = region.geometry
  const lanes = `${plural(brokers, "broker")} × ${plural(options.publishers, "session")} × ${formatBytes(laneBytes)}`
  return [
    `input    ${plural(files.length, "file")} of ${paths.join(", ")}, ${formatBytes(inputBytes)}, ${repeated}`,
    `         = ${formatBytes(totalBytes)} in ${plural(records, "record")} of ${formatBytes(options.recordBytes)}`,
    `region   ${region.path}, ${formatBytes(region.bytes)} (${lanes}), ${options.coherence}; `
    + `${formatBytes(region.freeBytes)} are free there`,
    `run      ${plural(options.publishers, "publisher")} and ${plural(options.subscribers, "subscriber")}, `
    + `one process each${
      options.skewMillis > 0 ? `; brokers publish up to ${formatMillis(options.skewMillis)} late` : ""
    }`,
    ...options.replicas === 0 ? [] : [`replicas ${describeReplicas(options)}`],
    ...options.kill === undefined ? [] : [`kill     ${describeKill(options.kill)}`]
  ].join("\n")
}

// --- internal ---

const defaultBytes = ({ kill, replicas }: DemoOptions): number =>
  replicas > 0 ? defaultReplicatedMinBytes : kill === undefined ? defaultMinBytes : defaultKillMinBytes

const describeReplicas = ({ replicas }: DemoOptions): string =>
  `${
    plural(replicas, "process", "processes")
  } in a folder of ${replicaParent()} that is removed at the end; a record is `
  + `acknowledged once ${replicas === 1 ? "it has" : `all ${formatCount(replicas)} have`} it on disk`

const describeKill = ({ fraction, role }: KillPlan): string => {
  const at = `once ${percentOf(fraction)} is acknowledged`
  switch (role) {
    case "sequencer":
      return `the serving process, ${at}; another stands by`
    case "subscriber":
      return `subscriber-0, ${at}; it is started again, from the first record`
    case "publisher":
      return `publisher-0, ${at}; it is started again, and goes on where its identity is committed`
    case "replica":
      return `replica-0, ${at}; it is started again, and goes on where its files end; until then nothing is acknowledged`
  }
}

const percentOf = (fraction: number): string => `${formatCount(100 * fraction)} %`

/** Keeps records for the subscriber that is started again. */
const keepersOf = ({ kill }: DemoOptions): number => kill?.role === "subscriber" ? 1 : 0

/** The place of a killed one comes free only once the server has noticed its death. */
const replicaReadersOf = ({ kill, replicas }: DemoOptions): number => replicas + (kill?.role === "replica" ? 1 : 0)

/** What is kept until a killed subscriber has been started again. */
const keptBytes = ({ kill }: DemoOptions, totalBytes: number): number =>
  kill?.role === "subscriber" ? kill.fraction * totalBytes : 0

const lanesOf = ({ brokers, publishers }: DemoOptions): number => brokers * publishers

/** Batches do not fill lanes to the last byte, nor lanes alike. */
const roomFactor = 1.5
const laneBytesMax = 2 ** 32

const lanesFor = (options: DemoOptions, totalBytes: number): Partial<Geometry> => {
  const needed = roomFactor * keptBytes(options, totalBytes) / lanesOf(options)
  if (needed <= defaultGeometry.laneBytes) return {}
  return { laneBytes: Math.min(laneBytesMax, 2 ** Math.ceil(Math.log2(needed))) }
}

const checkRoom = (options: DemoOptions, totalBytes: number, { laneBytes }: Geometry) => {
  const kept = keptBytes(options, totalBytes)
  const room = lanesOf(options) * laneBytes / roomFactor
  if (kept <= room) return Effect.void
  const detail = `the log would keep ${formatBytes(kept)} for the subscriber that is started again, and has room for ${
    formatBytes(Math.floor(room))
  }: kill it earlier, or publish less`
  return Effect.fail(new DemoImpossible({ option: "--kill", detail }))
}

const checkReplicas = ({ ack, kill, replicas }: DemoOptions): Effect.Effect<void, DemoImpossible> => {
  const refuse = (option: string, detail: string) => Effect.fail(new DemoImpossible({ option, detail }))
  if (replicas > 0) {
    return ack === "durable"
      ? Effect.void
      : refuse("--replicas", "replicas write only what is acknowledged when it is on disk: add --ack durable")
  }
  if (ack === "durable") {
    return refuse("--ack durable", "nothing would be acknowledged without replicas: add --replicas 2")
  }
  if (kill?.role === "replica") return refuse("--kill replica", "there is none: add --replicas 2 --ack durable")
  return Effect.void
}

/** Batches' headers, commit blocks and the rest of a segment. */
const fileFactor = 1.1

const checkDisk = Effect.fnUntraced(function*({ replicas }: DemoOptions, totalBytes: number) {
  if (replicas === 0) return
  const needed = Math.ceil(fileFactor * replicas * totalBytes)
  const free = yield* replicaRoom
  if (needed <= free) return
  const detail =
    `the files take ${formatBytes(needed)}, and ${replicaParent()} has ${formatBytes(free)} left: publish less`
    + " with --min-bytes, or set TMPDIR to a folder with more room"
  return yield* new DemoImpossible({ option: "--replicas", detail })
})
