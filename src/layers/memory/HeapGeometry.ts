/**
 * The sizes of a log in the heap: smaller by default than a region's, checked by the same rules.
 */
import * as Effect from "effect/Effect"
import { defaultGeometry, type Geometry, RegionError } from "../../services/CxlMemory.ts"

/** 1 MiB lanes that are allocated when a session opens: light enough for a test that uses one of them. */
export const heapGeometry: Geometry = { ...defaultGeometry, laneBytes: 1024 * 1024, batchBytes: 64 * 1024 }

/** The geometry asked for, or what is wrong with it. */
export const resolveGeometry = (
  region: string,
  wanted: Partial<Geometry> = {}
): Effect.Effect<Geometry, RegionError> => {
  const geometry = { ...heapGeometry, ...wanted }
  const wrong = rules.find(({ field, holds }) => !holds(geometry[field], geometry))
  if (wrong === undefined) return Effect.succeed(geometry)
  return Effect.fail(
    new RegionError({
      fault: "invalid",
      region,
      detail: `${wrong.field} cannot be ${geometry[wrong.field]}`,
      hint: `it must be ${wrong.range}`
    })
  )
}

// --- internal ---

interface Rule {
  readonly field: keyof Geometry
  readonly range: string
  readonly holds: (value: number, geometry: Geometry) => boolean
}

const between = (field: keyof Geometry, least: number, most: number): Rule => ({
  field,
  range: `a whole number from ${least} to ${most}`,
  holds: (value) => Number.isInteger(value) && value >= least && value <= most
})

const isPowerOfTwo = (value: number): boolean => 2 ** Math.round(Math.log2(value)) === value

const powerOfTwo = (field: keyof Geometry, least: number, most: number): Rule => ({
  field,
  range: `a power of two from ${least} to ${most}`,
  holds: (value) => isPowerOfTwo(value) && value >= least && value <= most
})

/** Nothing is asked of rings that are not there. */
const withRings = (rule: Rule): Rule => ({
  ...rule,
  holds: (value, geometry) => geometry.rings === 0 || rule.holds(value, geometry)
})

const rules: ReadonlyArray<Rule> = [
  between("brokers", 1, 32),
  between("clients", 1, 256),
  between("topics", 1, 64),
  between("readers", 1, 64),
  between("processes", 2, 512),
  powerOfTwo("laneSlots", 8, 2 ** 20),
  powerOfTwo("indexEntries", 64, 2 ** 24),
  powerOfTwo("batchBytes", 4096, 2 ** 28),
  powerOfTwo("laneBytes", 1, 2 ** 32),
  {
    field: "laneBytes",
    range: "at least eight batches of the largest size",
    holds: (laneBytes, { batchBytes }) => laneBytes >= 8 * batchBytes
  },
  between("rings", 0, 1024),
  withRings(between("ringReaders", 1, 128)),
  withRings(powerOfTwo("ringBytes", 4096, 2 ** 32))
]
