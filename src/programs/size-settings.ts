/**
 * The sizes of a region as settings of a command.
 */
import * as Flag from "effect/cli/Flag"
import { defaultGeometry } from "../layers/CxlMemory.ts"
import { openSetting, setting } from "./config.ts"
import { bytesFlag, countFlag, formatBytes } from "./quantities.ts"

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
