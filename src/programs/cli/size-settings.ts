/**
 * The sizes of a region as settings of a command.
 */
import * as Flag from "effect/cli/Flag"
import { defaultGeometry } from "../../layers/CxlMemory.ts"
import { type Geometry, placesMax } from "../../services/schema/Geometry.ts"
import { openSetting, setting } from "./settings.ts"
import { bytesFlag, countFlag, formatBytes, formatCount } from "./units.ts"

const shown = (size: string): string => `${size}, or what fits the free space`

export const sizeSettings = {
  brokers: setting("brokers", (name) => countFlag(name, 32), {
    description: "Brokers",
    fallback: defaultGeometry.brokers
  }),
  clients: setting("clients", (name) => countFlag(name, placesMax.clients), {
    description: "Publishing sessions that may be open at once",
    fallback: defaultGeometry.clients
  }),
  topics: setting("topics", (name) => countFlag(name, placesMax.topics), {
    description: "Topics that the region has room for; when all places are taken, a new topic takes an unused one's",
    fallback: defaultGeometry.topics
  }),
  laneBytes: openSetting("lane-bytes", bytesFlag, {
    description: "Room of one session on one broker, a power of two",
    shown: shown(formatBytes(defaultGeometry.laneBytes))
  }),
  batchBytes: openSetting("batch-bytes", bytesFlag, {
    description: "The largest batch, a power of two; a record is never larger",
    shown: `${formatBytes(defaultGeometry.batchBytes)}, or an eighth of a lane`
  }),
  laneSlots: openSetting("lane-slots", (name) => Flag.Int(name), {
    description: "Batches of one session in one broker at once, a power of two",
    shown: shown(formatCount(defaultGeometry.laneSlots))
  }),
  indexEntries: openSetting("index-entries", (name) => Flag.Int(name), {
    description: "Batches that a topic keeps, a power of two",
    shown: shown(formatCount(defaultGeometry.indexEntries))
  })
}

/** The flags that set the sizes named in errors. */
export const flagsOfSizes = (sizes: ReadonlyArray<string>): ReadonlyArray<string> =>
  sizes.flatMap((size) => isSize(size) ? sizeFlags[size] ?? [] : [])

/** The text of an error of one impossible size, with the size called as its flag. A count of rings follows from others. */
export const withFlagOf = (size: string, text: string): string => {
  const flag = isSize(size) && size !== "rings" ? sizeFlags[size] : undefined
  return flag !== undefined && text.startsWith(`${size} `) ? flag + text.slice(size.length) : text
}

// --- internal ---

const sizeFlags: Readonly<Record<keyof Geometry, string | undefined>> = {
  brokers: "--brokers",
  clients: "--clients",
  topics: "--topics",
  readers: undefined,
  laneSlots: "--lane-slots",
  laneBytes: "--lane-bytes",
  batchBytes: "--batch-bytes",
  indexEntries: "--index-entries",
  processes: undefined,
  rings: "--members",
  ringReaders: undefined,
  ringBytes: "--ring-bytes"
}

const isSize = (name: string): name is keyof Geometry => Object.hasOwn(sizeFlags, name)
