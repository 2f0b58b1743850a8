/**
 * What sizes a region may have. The native module has the last word on its own; these say which one is wrong.
 */
import { type Geometry, RegionError } from "../CxlMemory.ts"

/** Why a region of these sizes cannot be, `undefined` where it can. */
export const geometryError = (region: string, geometry: Geometry): RegionError | undefined => {
  const wrong = rules.find(({ field, holds }) => !holds(geometry[field], geometry))
  return wrong && new RegionError({
    fault: "invalid",
    region,
    detail: `${wrong.field} cannot be ${geometry[wrong.field]}`,
    hint: `it must be ${wrong.range}`
  })
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
