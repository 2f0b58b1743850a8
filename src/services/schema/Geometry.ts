/**
 * Sizes of a region. The native module also refuses impossible sizes; these checks say which size is wrong.
 */
import * as Schema from "effect/Schema"
import { formatBytes, formatCount } from "../text/quantities.ts"

/** Sizes that are fixed for the life of a region. All are checked when it is created and when a process attaches. */
export interface Geometry {
  /** Ingest domains, 1 to 32. */
  readonly brokers: number
  /** Sessions that may be open at once, over all topics, 1 to 256. Each has one lane on every broker. */
  readonly clients: number
  /** Topics that the region can hold, 1 to 64. When all are taken, a new name takes the place of an unused topic. */
  readonly topics: number
  /** Subscribers that may be attached to one topic at once, 1 to 64. */
  readonly readers: number
  /** Batches a lane can hold, a power of two, at least 8. */
  readonly laneSlots: number
  /** Payload bytes of a lane: a power of two, at least eight batches of the largest size. */
  readonly laneBytes: number
  /** The largest batch, a power of two, at least 4096. A record is never larger than a batch. */
  readonly batchBytes: number
  /** Batches the index of one topic can hold, a power of two, at least 64. */
  readonly indexEntries: number
  /** Processes that may be attached at once. */
  readonly processes: number
  /** Rings, 0 (none) to 1024. A swarm takes three for each member, and one more. */
  readonly rings: number
  /** Readers that may be attached to one ring at once, 1 to 128. */
  readonly ringReaders: number
  /** Bytes of a ring, a power of two, at least 4096. */
  readonly ringBytes: number
}

/**
 * Geometry for a handful of processes on one host: 4 brokers, 8 clients, 8 MiB lanes, 256 MiB of payload. A file system
 * with less than twice that free gets smaller lanes, batches, indexes and rings.
 */
export const defaultGeometry: Geometry = {
  brokers: 4,
  clients: 8,
  topics: 64,
  readers: 16,
  laneSlots: 512,
  laneBytes: 8 * 1024 * 1024,
  batchBytes: 256 * 1024,
  indexEntries: 2048,
  processes: 64,
  rings: 0,
  ringReaders: 16,
  ringBytes: 1024 * 1024
}

/** The most places that each table of the log can have. */
export const placesMax = { clients: 256, topics: 64, readers: 64 } as const

/** The schema of a geometry. Each check names the size that it refuses, and what it must be. */
export const Geometry: Schema.Codec<Geometry> = Schema.Struct({
  brokers: Schema.Number,
  clients: Schema.Number,
  topics: Schema.Number,
  readers: Schema.Number,
  laneSlots: Schema.Number,
  laneBytes: Schema.Number,
  batchBytes: Schema.Number,
  indexEntries: Schema.Number,
  processes: Schema.Number,
  rings: Schema.Number,
  ringReaders: Schema.Number,
  ringBytes: Schema.Number
}).check(Schema.makeFilter((geometry) => {
  const wrong = wrongSize(geometry)
  return wrong && { path: [wrong.field], issue: `it must be ${wrong.range}` }
}))

/** The first impossible size, with what it must be; `undefined` if all sizes are possible. */
export const wrongSize = (
  geometry: Geometry
): { readonly field: keyof Geometry; readonly range: string } | undefined =>
  rules.find(({ field, holds }) => !holds(geometry[field], geometry))

// --- internal ---

interface Rule {
  readonly field: keyof Geometry
  readonly range: string
  readonly holds: (value: number, geometry: Geometry) => boolean
}

const between = (field: keyof Geometry, least: number, most: number): Rule => ({
  field,
  range: `a whole number from ${formatCount(least)} to ${formatCount(most)}`,
  holds: (value) => Number.isInteger(value) && value >= least && value <= most
})

const isPowerOfTwo = (value: number): boolean => 2 ** Math.round(Math.log2(value)) === value

const powerOfTwo = (field: keyof Geometry, least: number, most: number): Rule => {
  const format = field.endsWith("Bytes") ? formatBytes : formatCount
  return {
    field,
    range: `a power of two from ${format(least)} to ${format(most)}`,
    holds: (value) => isPowerOfTwo(value) && value >= least && value <= most
  }
}

/** Without rings, their sizes are not checked. */
const withRings = (rule: Rule): Rule => ({
  ...rule,
  holds: (value, geometry) => geometry.rings === 0 || rule.holds(value, geometry)
})

const rules: ReadonlyArray<Rule> = [
  between("brokers", 1, 32),
  between("clients", 1, placesMax.clients),
  between("topics", 1, placesMax.topics),
  between("readers", 1, placesMax.readers),
  between("processes", 2, 512),
  powerOfTwo("laneSlots", 8, 2 ** 20),
  powerOfTwo("indexEntries", 64, 2 ** 24),
  powerOfTwo("laneBytes", 8 * 4096, 2 ** 32),
  powerOfTwo("batchBytes", 4096, 2 ** 28),
  {
    field: "laneBytes",
    range: "at least eight batches of the largest size",
    holds: (laneBytes, { batchBytes }) => laneBytes >= 8 * batchBytes
  },
  between("rings", 0, 1024),
  withRings(between("ringReaders", 1, 128)),
  withRings(powerOfTwo("ringBytes", 4096, 2 ** 32))
]
