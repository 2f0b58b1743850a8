/**
 * What a log line says of the log that a dead server left in a region.
 */
import type { NativeSnapshot } from "../../../native/binding.ts"
import type { RegionInfo } from "../../../services/CxlMemory.ts"
import type { Geometry } from "../../../services/schema/Geometry.ts"
import { formatCount, plural } from "../../../services/text/quantities.ts"

/** What was discarded. `undefined`: the log could not be read. */
export const describeDiscarded = (region: string, log: NativeSnapshot | undefined): string => {
  if (log === undefined) return `region "${region}": discarded a log that could not be read`
  const topics = log.topics.map(({ committedMessages, name, trimmedMessages }) =>
    `topic "${name}" with ${plural(committedMessages - trimmedMessages, "record")}`
  )
  const open = log.sessions.filter(({ ended }) => !ended).length
  const sessions = open === 0 ? [] : [`${plural(open, "open session")}`]
  const held = [...topics, ...sessions]
  return `region "${region}": discarded the log of a dead server: ${held.length === 0 ? "no topics" : held.join(", ")}`
}

/** Sizes that were asked for, and that the region, which is not new, has otherwise; `undefined` if there are none. */
export const describeKeptSizes = (info: RegionInfo, wanted: Partial<Geometry> = {}): string | undefined => {
  const other = Object.entries(wanted).filter(([size, value]) =>
    value !== undefined && info.geometry[size as keyof Geometry] !== value
  )
  if (other.length === 0) return undefined
  const sizes = other.map(([size, value]) =>
    `${size} ${formatCount(info.geometry[size as keyof Geometry])} instead of ${formatCount(value)}`
  )
  return `region "${info.name}" exists and keeps its sizes: ${sizes.join(", ")}`
}
