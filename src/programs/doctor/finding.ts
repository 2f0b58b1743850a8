/**
 * Classifies a file that has a region's name.
 */
import type { LogSummary, RegionSummary } from "../../layers/Regions.ts"

export type RegionStatus =
  /** Its server lives. */
  | "served"
  /** Its creator lives but does not serve it (yet), or a swarm uses it without its creator. */
  | "in use"
  | "being created"
  /** Its server is dead, and the next server or a standby continues its log. */
  | "recoverable"
  /** Its creator is dead, and it has no log to continue; or the doorbell of a region that is gone. */
  | "left over"
  /** Its creator died before it was complete. */
  | "half created"
  /** A region that cannot be attached to: truncated, damaged, or of another version. */
  | "unusable"
  /** A file, folder or link that only has a region's name; it is left alone. */
  | "no region"
  /** This user may not read it. */
  | "not accessible"
  | "missing"
  | "removed"

export interface Finding extends RegionSummary {
  readonly status: RegionStatus
  /** Of a log that can be read. */
  readonly log?: LogSummary
}

/** True for a requested region that does not exist, is not a region, or cannot be read. */
export const isOutOfReach = ({ status }: Finding): boolean => outOfReach.has(status)

export const findingOf = (region: RegionSummary): Finding => ({ ...region, status: statusOf(region) })

/** True for a file that `--repair` tries to remove. */
export const isLeftover = ({ status }: Finding): boolean => leftovers.has(status)

/** True for a log without a server, which only `--repair --fresh` removes. */
export const isRecoverable = ({ status }: Finding): boolean => status === "recoverable"

// --- internal ---

const outOfReach = new Set<RegionStatus>(["missing", "no region", "not accessible"])

const leftovers = new Set<RegionStatus>(["left over", "half created", "unusable"])

const statusOf = (region: RegionSummary): RegionStatus => {
  if (region.served) return "served"
  if (region.bell === "left") return "left over"
  if (region.fault === "missing") return "missing"
  if (region.fault === "notPermitted" || region.fault === "system") return "not accessible"
  if (region.temporary) return region.attached > 0 ? "being created" : "half created"
  if (region.fault === "notRegion") return "no region"
  if (!region.isRegion) return region.attached > 0 ? "in use" : "unusable"
  if (region.recoverable) return "recoverable"
  return region.held ? "in use" : "left over"
}
