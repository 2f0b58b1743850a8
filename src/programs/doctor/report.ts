/**
 * The report of `ringfence doctor`.
 */
import { showPid } from "../../services/schema/ProcessId.ts"
import { table } from "../cli/report.ts"
import { formatBytes, formatCount, plural } from "../cli/units.ts"
import type { Finding } from "./finding.ts"

export interface DoctorReport {
  readonly program: "doctor"
  /** True if there are no leftovers. */
  readonly healthy: boolean
  readonly repair: boolean
  readonly regions: ReadonlyArray<Finding>
}

export const describeDoctor = ({ healthy, regions }: DoctorReport): string => {
  if (regions.length === 0) return "no regions"
  const verdict = healthy ? "nothing is left over" : "something is left over"
  const found = regions.filter(({ status }) => status !== "missing").length
  return `${table([heading, ...regions.map(row)])}\n${found === 0 ? "no regions" : plural(found, "region")}, ${verdict}`
}

// --- internal ---

const heading = ["region", "status", "holds", "size", "creator", "attached", "path", ""]

const row = (region: Finding): ReadonlyArray<string> => [
  region.name,
  region.status,
  region.holds ?? "-",
  formatBytes(region.bytes),
  region.creator === undefined ? "-" : showPid(region.creator),
  formatCount(region.attached),
  region.path,
  region.detail
]
