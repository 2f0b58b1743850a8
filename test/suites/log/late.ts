/**
 * Batches that are published late: each has its room before the batches that wait for it, however many are late and however
 * full the lanes.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { LanePort } from "../../../src/layers/ports/LanePort.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { smallestLog } from "../../backends/geometry.ts"
import type { Backend } from "../../backends/log.ts"
import { stampOf, writeBatch } from "../../faults/manual.ts"

const Late = Topic.make("late")

const brokers = 9

const geometry = { ...smallestLog, brokers, indexEntries: 128 }

export const lateSuite = (backend: Backend): void => {
  describe(`late batches (${backend.name})`, () => {
    for (const late of [1, 2, 3, 5, 8]) {
      it.live(`${late} missing batches that were begun first find room in full lanes: all is committed, in order`, () =>
        Effect.forEach([40, 3900], (recordBytes) =>
          backend.manual(geometry, (log) =>
            Effect.gen(function*() {
              const { port: lanes } = yield* log.open(Late)
              const { port: reader } = yield* log.attach(Late, "start")
              let next = 0
              for (let broker = 0; broker < late; broker += 1) {
                assert.isTrue(write(lanes, broker, next, recordBytes))
                next += 1
              }
              for (let broker = 0; broker < brokers; broker += 1) {
                while (write(lanes, broker, next, recordBytes)) {
                  if (broker >= late) lanes.publish(broker)
                  next += 1
                }
                while (yield* log.step) continue
              }
              assert.strictEqual(next, brokers * geometry.laneSlots)
              assert.strictEqual(lanes.committedBatches(), 0)
              for (let broker = late - 1; broker >= 0; broker -= 1) {
                lanes.publish(broker)
                while (yield* log.step) continue
              }
              const batches = reader.poll(2 * next)
              assert.deepStrictEqual(batches.map(({ batchSequence }) => batchSequence), [...Array(next).keys()])
              assert.isTrue(
                batches.every(({ batchSequence, payload, sessionId }) =>
                  payload.every((byte) => byte === stampOf(sessionId, batchSequence))
                )
              )
              assert.strictEqual(lanes.committedBatches(), next)
            })), { discard: true }))
    }
  })
}

// --- internal ---

const write = (lanes: LanePort, broker: number, sequence: number, recordBytes: number): boolean =>
  writeBatch(lanes, broker, { sequence, firstMessage: sequence, lengths: [recordBytes] })
