// Drives the two ends of a heap log by hand: sessions and readers opened, batches written, passes stepped.
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { HeapLog } from "../../../src/layers/memory/log/HeapLog.ts"
import { openReader } from "../../../src/layers/memory/log/Subscriber.ts"
import type { IndexPort } from "../../../src/layers/ports/IndexPort.ts"
import type { LanePort } from "../../../src/layers/ports/LanePort.ts"
import type { Geometry } from "../../../src/services/schema/Geometry.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Sequencer } from "../../../src/services/Sequencer.ts"
import type { From, IndexedBatch } from "../../../src/services/Subscriber.ts"
import { openLanes } from "../lanes.ts"

/** Lanes of 8 slots and eight batches of 4 KiB, an index of 64 entries: every limit is near. */
export const tight: Partial<Geometry> = {
  brokers: 2,
  clients: 3,
  laneSlots: 8,
  laneBytes: 8 * 4096,
  batchBytes: 4096,
  indexEntries: 64
}

export const Held = Topic.make("held")
export const Total = Topic.make("total", { order: "total" })

/** Opens a session, which one step adopts. */
export const open = Effect.fnUntraced(function*(topic: Topic.Topic) {
  const log = yield* HeapLog
  const opening = yield* Effect.forkChild(openLanes(log, topic), { startImmediately: true })
  yield* step
  return yield* Fiber.join(opening)
})

export const attach = Effect.fnUntraced(function*(topic: Topic.Topic, from: From = "start", name = "reader") {
  return yield* openReader(yield* HeapLog, topic, { from, name })
})

export const step = Sequencer.use((sequencer) => sequencer.step)

/** Steps until nothing moves. */
export const settle = Effect.gen(function*() {
  let steps = 0
  while (yield* step) steps += 1
  return steps
})

const firstMessage = (sequence: number) => sequence * messagesPerBatch

export const messagesPerBatch = 2

/** Writes one batch of two records without publishing it; false when the lane is full. */
export const write = (lanes: LanePort, broker: number, sequence: number, recordBytes = 16): boolean => {
  const room = lanes.begin(broker, sequence)
  if (room === undefined) return false
  const payloadBytes = messagesPerBatch * recordBytes
  room.fill(sequence % 251, 0, payloadBytes)
  lanes.seal(broker, {
    batchSequence: sequence,
    firstMessage: firstMessage(sequence),
    messageCount: messagesPerBatch,
    payloadBytes,
    uniformBytes: recordBytes,
    lengths: new Uint32Array(0)
  })
  return true
}

export const publish = (lanes: LanePort, broker: number, sequence: number, recordBytes = 16): boolean => {
  const written = write(lanes, broker, sequence, recordBytes)
  lanes.publish(broker)
  return written
}

/** Publishes on the broker until its lane is full. Returns the next sequence. */
export const fill = (lanes: LanePort, broker: number, from: number, recordBytes = 16): number => {
  let sequence = from
  while (publish(lanes, broker, sequence, recordBytes)) sequence += 1
  return sequence
}

export const sequences = (batches: ReadonlyArray<IndexedBatch>): ReadonlyArray<number> =>
  batches.map(({ batchSequence }) => batchSequence)

/** All committed batches that are not polled yet. */
export const drain = (reader: IndexPort): ReadonlyArray<IndexedBatch> => reader.poll(1 << 20)

export const consume = (reader: IndexPort): ReadonlyArray<IndexedBatch> => {
  const batches = drain(reader)
  reader.release(reader.next())
  return batches
}
