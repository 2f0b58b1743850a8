/**
 * Retention: batches are kept until their room is needed; then the oldest are trimmed, never past an attached reader.
 */
import type { Geometry } from "../../../../services/schema/Geometry.ts"
import { noteSynced } from "../Durability.ts"
import type { HeapTopic, Lane, SessionLane } from "../LogState.ts"
import type { SequencerState } from "./SequencerState.ts"
import { followLanes, noteUntaken, takenUpTo } from "./unordered.ts"

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
  let moved = followLanes(heap)
  for (const topic of heap.topics) {
    if (!topic.isOrdered) continue
    if (topic.isDurable) noteSynced(topic)
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
    topic.gatesUnreplicated = false
    const kept = topic.entries.length - Math.floor(topic.entries.length / 4)
    const target = topic.committedBatches - kept
    if (target > topic.trimmed) moved = trimTo(topic, { needed: target, wanted: target }) || moved
  }
  for (let broker = 0; broker < heap.geometry.brokers; broker += 1) {
    for (const [client, lanes] of heap.lanes.entries()) {
      moved = relieve(heap.geometry, lanes[broker]!, heap.sessions[client]?.lanes[broker]) || moved
    }
  }
  noteUntaken(heap)
  for (const topic of heap.topics) {
    if (topic.gatingSlot === undefined) topic.gatingSinceMicros = undefined
    else topic.gatingSinceMicros ??= heap.monotonicMicros()
  }
  return moved
}

/** Trims all batches of a topic that has no reader. */
export const discard = (topic: HeapTopic): void => {
  trimTo(topic, { needed: topic.committedBatches, wanted: topic.committedBatches })
}

// --- internal ---

/** The attached reader with the smallest cursor, the first of several; no slot when no reader is attached. */
const slowest = (topic: HeapTopic): { readonly cursor: number; readonly slot: number | undefined } => {
  let cursor = topic.committedBatches
  let slowest: number | undefined
  for (const [slot, reader] of topic.readers.entries()) {
    if (reader === undefined || !reader.gates || (slowest !== undefined && reader.cursor >= cursor)) continue
    cursor = reader.cursor
    slowest = slot
  }
  return { cursor, slot: slowest }
}

/** `owner`: the lane as its present session uses it. Unordered batches in it are that session's. */
const relieve = (geometry: Geometry, lane: Lane, owner: SessionLane | undefined): boolean => {
  let moved = false
  while (isShort(geometry, lane, lane.released, 0)) {
    const { state, topic } = lane.slot(lane.released)
    // A held batch waits for a missing batch: trimming cannot free its room.
    const freed = state === "ordered"
      ? trimTo(topic, targetOf(geometry, lane))
      : state === "unordered" && owner !== undefined && releaseTaken(geometry, topic, owner)
    if (!freed) break
    moved = true
  }
  return moved
}

/** Up to which entry a topic is to be trimmed: what lacks room needs the one, and takes up to the other where it may. */
interface TrimTarget {
  readonly needed: number
  readonly wanted: number
}

// Of a lane that is short, and whose first batch is committed: a stride more than is needed, as over shared memory, where a
// trim costs as much for one batch as for many. What is not committed, or belongs to another topic, ends the look.
const targetOf = (geometry: Geometry, lane: Lane): TrimTarget => {
  const { topic } = lane.slot(lane.released)
  let needed = 0
  let wanted = 0
  for (let i = lane.released; isShort(geometry, lane, i, stride); i += 1) {
    const slot = lane.slot(i)
    if (slot.state === "done") continue
    if (slot.state !== "ordered" || slot.topic !== topic) break
    wanted = Math.max(wanted, slot.entry + 1)
    if (isShort(geometry, lane, i, 0)) needed = wanted
  }
  return { needed, wanted }
}

// Releases a quarter of the lane at once, as far as all attached readers have come: over shared memory each release
// costs a fence, and wakes publishers.
const releaseTaken = (geometry: Geometry, topic: HeapTopic, at: SessionLane): boolean => {
  const { lane } = at
  const { cursor, slot } = takenUpTo(topic, at)
  let target = lane.released
  while (target < cursor && isShort(geometry, lane, target, quarter)) target += 1
  if (target === cursor && isShort(geometry, lane, target, 0)) topic.gatingSlot = slot
  if (target === lane.released) return false
  for (let laneIndex = lane.released; laneIndex < target; laneIndex += 1) lane.slot(laneIndex).state = "done"
  releaseSlots(lane)
  return true
}

const quarter = 1 / 4

const stride = 1 / 32

/** Whether the batches from `first` on leave less room in the lane than is kept free, and `spare` of the lane more. */
const isShort = ({ batchBytes, laneBytes }: Geometry, lane: Lane, first: number, spare: number): boolean => {
  if (first === lane.scanned) return false
  const slots = lane.slots.length
  if (lane.scanned - first > slots - Math.floor(slots / 4) - Math.floor(spare * slots)) return true
  const usedBytes = lane.payloadEnd - lane.slot(first).payloadPosition
  return usedBytes > laneBytes - Math.max(laneBytes / 4, 4 * batchBytes) - spare * laneBytes
}

// No reader can attach while a pass runs, so there is no need to check the cursors again after trimming.
const trimTo = (topic: HeapTopic, { needed, wanted }: TrimTarget): boolean => {
  const { cursor, slot } = slowest(topic)
  if (needed > cursor) topic.gatingSlot = slot
  let target = Math.min(wanted, cursor)
  // A replica may have the only copy on a disk, and be gone: what none ever had is kept for the next one.
  if (topic.isDurable && target > topic.synced) {
    target = topic.synced
    if (needed > topic.synced) {
      topic.gatingSlot = undefined
      topic.gatesUnreplicated = true
    }
  }
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
