/**
 * Commits an epoch: enters the emitted batches into the index of their topic.
 */
import type { Pending, Session } from "../LogState.ts"
import { readyLimit, type SequencerState } from "./SequencerState.ts"

/** Commits an epoch at once while no batch is held; otherwise it waits for the batches that close the gaps. */
export const epochDue = (order: SequencerState): boolean => {
  if (order.ready.length >= readyLimit || order.options.manual || order.held === 0) return true
  return epochMicrosLeft(order) <= 0
}

/** How long the open epoch may still wait for its commit. */
export const epochMicrosLeft = ({ heap, options, readySinceMicros }: SequencerState): number =>
  readySinceMicros + options.epochMicros - heap.monotonicMicros()

export const commit = (order: SequencerState): boolean => {
  const wallMillis = order.heap.wallMillis()
  for (const { batch, session } of order.ready) {
    // The clock may be set back: the times of a topic never fall.
    session.topic.orderedMillis = Math.max(session.topic.orderedMillis, wallMillis)
    index(session, batch, session.topic.orderedMillis)
    order.batches += 1
    order.messages += batch.descriptor.messageCount
  }
  order.ready.length = 0
  order.commits += 1
  return true
}

const index = ({ facts, topic }: Session, { descriptor, lane }: Pending, orderedMillis: number): void => {
  const at = topic.committedBatches
  topic.entries[at % topic.entries.length] = {
    index: at,
    firstPosition: topic.committedMessages,
    orderedMillis,
    descriptor,
    lane
  }
  if (!topic.holds) facts.set(descriptor.batchSequence, descriptor.messageCount)
  topic.pending -= 1
  topic.committedBatches += 1
  topic.committedMessages += descriptor.messageCount
  topic.committedBytes += descriptor.payloadBytes
  const slot = lane.lane.slot(descriptor.laneIndex)
  slot.state = "ordered"
  slot.entry = at
  lane.ordered += 1
  lane.orderedMessages += descriptor.messageCount
}
