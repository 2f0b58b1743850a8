/**
 * Retention: batches are kept until their room is needed; then the oldest are trimmed, never past an attached reader.
 */
import type { Geometry } from "../../../../services/schema/Geometry.ts"
import type { HeapTopic, Lane } from "../LogState.ts"
import type { SequencerState } from "./SequencerState.ts"

export const hasRoomInIndex = ({ committedBatches, entries, pending, trimmed }: HeapTopic): boolean =>
  committedBatches + pending - trimmed < entries.length

export const releaseSlots = (lane: Lane): void => {
  while (lane.released < lane.scanned && lane.slot(lane.released).state === "done") {
    lane.slots[lane.released % lane.slots.length] = undefined
    lane.released += 1
  }
}

/** Counts as delivered the batches that every attached reader has released. */
export const followReaders = ({ heap }: SequencerState): boolean => {
  let moved = false
  for (const topic of heap.topics) {
    const { cursor, slot } = slowest(topic)
    if (slot === undefined || cursor <= topic.delivered) continue
    for (; topic.delivered < cursor; topic.delivered += 1) {
      const { descriptor, lane } = topic.entry(topic.delivered)!
      lane.delivered += 1
      lane.deliveredMessages += descriptor.messageCount
    }
    moved = true
  }
  return moved
}

/** Trims for lanes and indexes that run short, until a quarter of each is free. */
export const makeRoom = ({ heap }: SequencerState): boolean => {
  let moved = false
  for (const topic of heap.topics) {
    topic.gatingSlot = undefined
    const kept = topic.entries.length - Math.floor(topic.entries.length / 4)
    if (topic.committedBatches - topic.trimmed > kept) moved = trimTo(topic, topic.committedBatches - kept) || moved
  }
  for (let broker = 0; broker < heap.geometry.brokers; broker += 1) {
    for (const lanes of heap.lanes) moved = relieve(heap.geometry, lanes[broker]!) || moved
  }
  for (const topic of heap.topics) {
    if (topic.gatingSlot === undefined) topic.gatingSinceMicros = undefined
    else topic.gatingSinceMicros ??= heap.monotonicMicros()
  }
  return moved
}

/** Trims all batches of a topic that has no reader. */
export const discard = (topic: HeapTopic): void => {
  trimTo(topic, topic.committedBatches)
}

// --- internal ---

/** The attached reader with the smallest cursor, the first of several; no slot when no reader is attached. */
const slowest = (topic: HeapTopic): { readonly cursor: number; readonly slot: number | undefined } => {
  let cursor = topic.committedBatches
  let slowest: number | undefined
  for (const [slot, reader] of topic.readers.entries()) {
    if (reader === undefined || (slowest !== undefined && reader.cursor >= cursor)) continue
    cursor = reader.cursor
    slowest = slot
  }
  return { cursor, slot: slowest }
}

const relieve = (geometry: Geometry, lane: Lane): boolean => {
  let moved = false
  while (isShort(geometry, lane)) {
    const { entry, state, topic } = lane.slot(lane.released)
    // A held batch waits for a missing batch: trimming cannot free its room.
    if (state !== "ordered" || !trimTo(topic, entry + 1)) break
    moved = true
  }
  return moved
}

const isShort = ({ batchBytes, laneBytes }: Geometry, lane: Lane): boolean => {
  const inUse = lane.scanned - lane.released
  if (inUse === 0) return false
  if (inUse > lane.slots.length - Math.floor(lane.slots.length / 4)) return true
  const usedBytes = lane.payloadEnd - lane.slot(lane.released).payloadPosition
  return usedBytes > laneBytes - Math.max(laneBytes / 4, 4 * batchBytes)
}

// No reader can attach while a pass runs, so there is no need to check the cursors again after trimming.
const trimTo = (topic: HeapTopic, wanted: number): boolean => {
  const { cursor, slot } = slowest(topic)
  if (wanted > cursor) topic.gatingSlot = slot
  const target = Math.min(wanted, cursor)
  if (target <= topic.trimmed) return false
  for (; topic.trimmed < target; topic.trimmed += 1) {
    const { descriptor, lane } = topic.entry(topic.trimmed)!
    topic.trimmedMessages += descriptor.messageCount
    lane.lane.slot(descriptor.laneIndex).state = "done"
    releaseSlots(lane.lane)
  }
  topic.delivered = Math.max(topic.delivered, topic.trimmed)
  return true
}
