/**
 * The end of a replica: that of its log.
 */
import * as Effect from "effect/Effect"
import type { RegionLost } from "../../../services/CxlMemory.ts"
import type { ReplicatedLog } from "../../ports/ReplicatedLog.ts"

/** Returns once the log has ended in good order, and `end` after it. Fails when the log is lost. */
export const endOf = (
  { waiter }: ReplicatedLog["Service"],
  end: Effect.Effect<void>
): Effect.Effect<void, RegionLost> =>
  Effect.catch(waiter.untilLost, (lost) => lost.reason === "stopped" ? end : Effect.fail(lost))
