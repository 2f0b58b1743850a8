/**
 * A table of a region has no place left: which of its sizes would have to be larger, and what helps before that.
 */
import { type Geometry, RegionError } from "../CxlMemory.ts"

/** The error `full` of that table. `sizes` names what the region would have to be created with more of. */
export const fullTable = (region: string, detail: string, size: keyof typeof helps): RegionError =>
  new RegionError({
    fault: "full",
    region,
    detail,
    hint: `${helps[size]}, or create the region with more ${size}`,
    sizes: [size]
  })

// --- internal ---

const helps = {
  topics: "a topic keeps its place until the region ends: use one that is declared",
  clients: "close a session",
  readers: "close a subscriber of the topic"
} satisfies Partial<Record<keyof Geometry, string>>
