/**
 * Refuses to restore what the log has already.
 */
import { RegionError } from "../../services/schema/RegionError.ts"

export const notRestored = (region: string, what: string): RegionError =>
  new RegionError({
    fault: "invalid",
    region,
    detail: `${what} is there already, so it cannot be restored`,
    hint: "restore into a region that is created for that"
  })
