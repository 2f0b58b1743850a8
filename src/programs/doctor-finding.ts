/**
 * What a file that bears a region's name turns out to be.
 */
import type { RegionSummary } from "../layers/Regions.ts"

export type RegionStatus =
  /** Its server lives. */
  | "served"
  /** Its creator lives and does not serve it, or not yet; or a swarm goes on in it without its creator. */
  | "in use"
  | "being created"
  /** Whoever created it is dead. */
  | "left over"
  /** It was to become a region, and whoever created it is dead. */
  | "half created"
  /** It cannot be attached to: truncated, damaged, of another version, or no region at all. */
  | "unusable"
  /** It belongs to another user. */
  | "not accessible"
  | "removed"

export interface Finding extends RegionSummary {
  readonly status: RegionStatus
}

export const findingOf = (region: RegionSummary): Finding => ({ ...region, status: statusOf(region) })

/** Something that `--repair` tries to remove. */
export const isLeftover = ({ status }: Finding): boolean => leftovers.has(status)

// --- internal ---

const leftovers = new Set<RegionStatus>(["left over", "half created", "unusable"])

const statusOf = (region: RegionSummary): RegionStatus => {
  if (region.served) return "served"
  if (!region.isRegion && region.bytes === 0 && region.detail.startsWith("cannot be opened")) return "not accessible"
  if (region.temporary) return region.attached > 0 ? "being created" : "half created"
  if (!region.isRegion) return region.attached > 0 ? "in use" : "unusable"
  return region.held ? "in use" : "left over"
}
