/**
 * The sizes of the smallest useful log: one session, one topic, one subscriber, and lanes of a few batches.
 */
import type { Geometry } from "../../src/services/schema/Geometry.ts"

export const smallestLog = {
  brokers: 2,
  clients: 1,
  topics: 1,
  readers: 3,
  laneSlots: 8,
  laneBytes: 32 * 1024,
  batchBytes: 4096,
  indexEntries: 64,
  processes: 2
} satisfies Partial<Geometry>
