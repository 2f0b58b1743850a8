/**
 * Ends the sessions of which a batch was missing for longer than the lease.
 *
 * Only time counts in which the sequencer would have found the batch: with each lane scanned to its tail, and of the time
 * between two passes a fraction of the lease at most. So neither a full index nor a pause of the sequencer fences a session.
 */
import { endsAtOnce, type Session } from "../LogState.ts"
import type { SequencerState } from "./SequencerState.ts"

/** Passes in a lease while a gap lasts, at least. */
const passesPerLease = 8

export const endOutlived = (order: SequencerState): boolean => {
  const { heap, options: { leaseMicros } } = order
  if (leaseMicros === 0) return false
  const now = heap.monotonicMicros()
  const step = Math.min(now - order.leasesCountedMicros, leaseMicros / passesPerLease)
  order.leasesCountedMicros = now
  let moved = false
  for (const session of order.active) {
    if (!countsGap(session)) continue
    session.gapMicros += Math.min(step, now - session.gapSinceMicros!)
    if (session.gapMicros < leaseMicros) continue
    session.endReason = "outlived"
    moved = true
  }
  return moved
}

/** How soon the next pass must run, so that a gap is counted. */
export const leaseMicrosLeft = ({ active, options: { leaseMicros } }: SequencerState): number | undefined =>
  leaseMicros > 0 && active.some(hasGap) ? leaseMicros / passesPerLease : undefined

// --- internal ---

const hasGap = (session: Session): boolean =>
  session.gapSinceMicros !== undefined && session.topic.holds && !session.closing && !endsAtOnce(session)

const countsGap = (session: Session): boolean => hasGap(session) && session.lanes.every(({ drained }) => drained)
