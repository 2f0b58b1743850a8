/**
 * The sizes of a region as settings of a command.
 */
import * as Flag from "effect/cli/Flag"
import { defaultGeometry } from "../../layers/CxlMemory.ts"
import { placesMax } from "../../services/schema/Geometry.ts"
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
  sizes.flatMap((size) => sizeFlags[size] ?? [])

// --- internal ---

const sizeFlags: Readonly<Record<string, string>> = {
  brokers: "--brokers",
  clients: "--clients",
  topics: "--topics",
  laneBytes: "--lane-bytes",
  laneSlots: "--lane-slots",
  indexEntries: "--index-entries",
  rings: "--members",
  ringBytes: "--ring-bytes"
}
