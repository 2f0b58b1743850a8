/**
 * What a file that bears a region's name turns out to be.
 */
import type { RegionSummary } from "../../layers/Regions.ts"

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
  /** It is a region that cannot be attached to: truncated, damaged, of another version. */
  | "unusable"
  /** A file of somebody's, a folder, a link: it only bears such a name, and is left alone. */
  | "no region"
  /** This user may not look into it. */
  | "not accessible"
  | "missing"
  | "removed"

export interface Finding extends RegionSummary {
  readonly status: RegionStatus
}

/** What was asked for is not there, is something else, or cannot be looked at. */
export const isOutOfReach = ({ status }: Finding): boolean => outOfReach.has(status)

export const findingOf = (region: RegionSummary): Finding => ({ ...region, status: statusOf(region) })

/** Something that `--repair` tries to remove. */
export const isLeftover = ({ status }: Finding): boolean => leftovers.has(status)

// --- internal ---

const outOfReach = new Set<RegionStatus>(["missing", "no region", "not accessible"])

const leftovers = new Set<RegionStatus>(["left over", "half created", "unusable"])

const statusOf = (region: RegionSummary): RegionStatus => {
  if (region.served) return "served"
  if (region.fault === "missing") return "missing"
  if (region.fault === "notPermitted" || region.fault === "system") return "not accessible"
  if (region.temporary) return region.attached > 0 ? "being created" : "half created"
  if (region.fault === "notRegion") return "no region"
  if (!region.isRegion) return region.attached > 0 ? "in use" : "unusable"
  return region.held ? "in use" : "left over"
}
