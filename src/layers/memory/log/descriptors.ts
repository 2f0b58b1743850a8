/**
 * What the sequencer and a lane's readers ask of a descriptor: whether it is published, and whether it may be used.
 */
import type { Geometry } from "../../../services/schema/Geometry.ts"
import { batchBytesOf, type Descriptor, type Lane, type Session } from "./LogState.ts"

/** The batch that the session has published at that place of the lane. */
export const publishedAt = (session: Session, lane: Lane, laneIndex: number): Descriptor | undefined => {
  const descriptor = lane.descriptor(laneIndex)
  if (descriptor?.session !== session || descriptor.laneIndex !== laneIndex) return undefined
  return descriptor.published ? descriptor : undefined
}

/** Whether the batch lies within the lane, at or behind `payloadEnd`, where the batch before it ends if that is known. */
export const isValid = (
  { batchBytes, laneBytes }: Geometry,
  d: Descriptor,
  payloadEnd: number | undefined
): boolean => {
  const bytes = batchBytesOf(d.payloadBytes, d.messageCount, d.uniformBytes)
  if (d.messageCount === 0 || bytes > batchBytes || d.payloadPosition % laneBytes + bytes > laneBytes) return false
  const passedOver = d.payloadPosition - (payloadEnd ?? d.payloadPosition)
  if (passedOver < 0 || passedOver > laneBytes) return false
  return d.uniformBytes === 0 || d.uniformBytes * d.messageCount === d.payloadBytes
}
