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
  /** Default: {@link defaultMinBytes} or {@link defaultKillMinBytes}, or once the given files. */
  readonly minBytes: number | undefined
  readonly recordBytes: number
  readonly skewMillis: number
  readonly coherence: Coherence
  readonly unsafeIgnoreSessionOrder: boolean
  readonly kill: KillPlan | undefined
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

export const plan = Effect.fnUntraced(function*(options: DemoOptions) {
  const paths = options.paths.length > 0 ? options.paths : [yield* defaultInput]
  const files = yield* collect(paths)
  const inputBytes = files.reduce((sum, { bytes }) => sum + bytes, 0)
  const minBytes = options.minBytes ?? (options.paths.length > 0 ? 0 : defaultBytes(options))
  // Make whole passes, so that the input ends at the end of the last file.
  const totalBytes = inputBytes * Math.max(1, Math.ceil(minBytes / inputBytes))
  yield* removeLeftovers("demo-")
  const region = yield* planRegion(`demo-${process.pid}`, {
    brokers: options.brokers,
    clients: options.publishers,
    readers: options.subscribers + keepersOf(options),
    topics: 1,
    ...lanesFor(options, totalBytes)
  })
  if (options.recordBytes > region.geometry.batchBytes) {
    const detail = `a record has at most ${formatBytes(region.geometry.batchBytes)} in a region of this size`
    return yield* new DemoImpossible({ option: "--record-bytes", detail })
  }
  yield* checkRoom(options, totalBytes, region.geometry)
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
    ...options.kill === undefined ? [] : [`kill     ${describeKill(options.kill)}`]
  ].join("\n")
}

// --- internal ---

const defaultBytes = ({ kill }: DemoOptions): number => kill === undefined ? defaultMinBytes : defaultKillMinBytes

const describeKill = ({ fraction, role }: KillPlan): string => {
  const at = `once ${percentOf(fraction)} is acknowledged`
  switch (role) {
    case "sequencer":
      return `the serving process, ${at}; another stands by`
    case "subscriber":
      return `subscriber-0, ${at}; it is started again, from the first record`
    case "publisher":
      return `publisher-0, ${at}; it is started again, and goes on where its identity is committed`
  }
}

const percentOf = (fraction: number): string => `${formatCount(100 * fraction)} %`

/** Keeps records for the subscriber that is started again. */
const keepersOf = ({ kill }: DemoOptions): number => kill?.role === "subscriber" ? 1 : 0

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
