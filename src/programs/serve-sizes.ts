/**
 * The sizes of a region that is to be served: those asked for, or what there is room for.
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as CxlMemory from "../layers/CxlMemory.ts"
import { openSetting, setting } from "./config.ts"
import { bytesFlag, countFlag, formatBytes } from "./quantities.ts"

const { defaultGeometry } = CxlMemory

export const sizeSettings = {
  brokers: setting("brokers", (name) => countFlag(name, 32), {
    description: "Brokers that take in the records",
    fallback: defaultGeometry.brokers
  }),
  clients: setting("clients", (name) => countFlag(name, 256), {
    description: "Publishing sessions that may be open at once",
    fallback: defaultGeometry.clients
  }),
  laneBytes: openSetting("lane-bytes", bytesFlag, {
    description: "Room of one session on one broker, a power of two",
    shown: `${formatBytes(defaultGeometry.laneBytes)}, or what fits the free space`
  }),
  batchBytes: openSetting("batch-bytes", bytesFlag, {
    description: "The largest batch, a power of two; a record is never larger",
    shown: `${formatBytes(defaultGeometry.batchBytes)}, or an eighth of a lane`
  }),
  laneSlots: setting("lane-slots", (name) => Flag.Int(name), {
    description: "Batches that one session may have in one broker, a power of two",
    fallback: defaultGeometry.laneSlots
  }),
  indexEntries: setting("index-entries", (name) => Flag.Int(name), {
    description: "Batches that a topic keeps, a power of two",
    fallback: defaultGeometry.indexEntries
  })
}

export interface SizesWanted {
  readonly brokers: number
  readonly clients: number
  readonly laneBytes: number | undefined
  readonly batchBytes: number | undefined
  readonly laneSlots: number
  readonly indexEntries: number
}

export interface SizePlan {
  readonly geometry: CxlMemory.Geometry
  readonly bytes: number
  readonly freeBytes: number
  /** The lanes are smaller than they would be with more space free. */
  readonly reduced: boolean
}

/**
 * Lanes whose size was not asked for are halved until the region takes at most half of what is free. A size that was
 * asked for is kept: creating the region then says what is missing.
 */
export const planSizes = Effect.fnUntraced(function*(path: string, wanted: SizesWanted) {
  const { brokers, clients, indexEntries, laneSlots } = wanted
  const freeBytes = yield* CxlMemory.freeBytes(path)
  const largest = wanted.laneBytes ?? defaultGeometry.laneBytes
  const smallest = wanted.laneBytes ?? Math.max(laneBytesMin, batchesPerLane * (wanted.batchBytes ?? 0))
  for (let laneBytes = largest;; laneBytes /= 2) {
    const batchBytes = wanted.batchBytes ?? Math.min(defaultGeometry.batchBytes, laneBytes / batchesPerLane)
    const geometry = { ...defaultGeometry, brokers, clients, indexEntries, laneSlots, laneBytes, batchBytes }
    const bytes = yield* CxlMemory.regionBytes(geometry)
    const plan: SizePlan = { geometry, bytes, freeBytes, reduced: laneBytes < largest }
    if (bytes <= freeBytes / 2 || laneBytes <= smallest) return plan
  }
})

// --- internal ---

const batchesPerLane = 8
const laneBytesMin = 64 * 1024
