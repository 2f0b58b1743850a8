/**
 * Slots of sessions that have ended while their publishers may still write: they are given to no other session before
 * the publishers have left them.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { makePublisher } from "../../../src/layers/log/publisher/makePublisher.ts"
import type { IndexPort } from "../../../src/layers/ports/IndexPort.ts"
import type { LanePort } from "../../../src/layers/ports/LanePort.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { smallestLog } from "../../backends/geometry.ts"
import { type Backend, bytesOf, textOf } from "../../backends/log.ts"
import { attachJudges } from "../../faults/judge.ts"
import { type ManualLog, stampOf, writeBatch } from "../../faults/manual.ts"

const Slots = Topic.make("slots")

/** An opening that is over. */
const admitted = (lanes: LanePort) => Effect.succeed({ lanes: Effect.succeed(lanes), hasFailed: () => false })

export const slotsSuite = (backend: Backend): void => {
  describe(`slots of living sessions (${backend.name})`, () => {
    it.live("E12 an ended session keeps its slot until its client leaves it; the error and the diagnostics name its process", () =>
      backend.manual(smallestLog, (log) =>
        Effect.gen(function*() {
          const { port } = yield* log.open(Slots)
          yield* spoiled(log, port)
          const [session] = (yield* log.snapshot).sessions
          assert.deepStrictEqual([session?.state, session?.quarantined, session?.pid], ["ended", true, process.pid])
          const error = yield* Effect.flip(log.open(Slots))
          assert.isTrue(error._tag === "RegionError" && error.fault === "full", error.message)
          const holders = error._tag === "RegionError" ? error.holders : undefined
          assert.deepStrictEqual(holders?.map(({ pid }) => pid), [process.pid])
          assert.include(error.message, `"${session?.process}" (pid ${process.pid})`)
          assert.include(error.message, "close their publishers")
          port.leave()
          assert.isFalse((yield* log.snapshot).sessions[0]?.quarantined)
          const next = yield* log.open(Slots)
          assert.notStrictEqual(next.port.sessionId, port.sessionId)
        })))

    it.live("E12 a publisher that learns of its session's end leaves the slot, and writes nothing behind that", () =>
      backend.manual(smallestLog, (log) =>
        Effect.gen(function*() {
          const { port: reader } = yield* log.attach(Slots, "start")
          const { port } = yield* log.open(Slots)
          const former = yield* makePublisher(Slots, () => admitted(port), { linger: "1 hour" })
          assert.isTrue(former.offer(bytesOf("former")))
          yield* spoiled(log, port)
          assert.isTrue((yield* log.snapshot).sessions[0]?.quarantined)
          const error = yield* Effect.flip(former.flush)
          assert.isTrue(error._tag === "PublisherClosed" && error.reason === "corrupt", error.message)
          const { port: lanes } = yield* log.open(Slots)
          const next = yield* makePublisher(Slots, () => admitted(lanes))
          assert.isTrue(next.offer(bytesOf("next")))
          assert.isFalse(former.offer(bytesOf("behind")))
          former.seal()
          next.seal()
          yield* log.step
          assert.deepStrictEqual(textsOf(reader), ["next"])
        })))

    it.live("E12 a claim that is open when its session ends keeps the slot until it is committed or dropped", () =>
      Effect.forEach([true, false], (commits) =>
        backend.manual(smallestLog, (log) =>
          Effect.gen(function*() {
            const { port } = yield* log.open(Slots)
            const former = yield* makePublisher(Slots, () => admitted(port))
            const slot = Effect.map(log.snapshot, ({ sessions }) => sessions[0]?.quarantined)
            yield* Effect.scoped(Effect.gen(function*() {
              const claim = yield* former.claim(64)
              yield* spoiled(log, port)
              const error = yield* Effect.flip(former.awaitAcknowledged(1))
              assert.strictEqual(error._tag, "PublisherClosed")
              assert.isTrue(yield* slot)
              claim.bytes.fill(1)
              if (commits) claim.commit()
              assert.strictEqual(yield* slot, !commits)
            }))
            assert.isFalse(yield* slot)
            yield* log.open(Slots)
          })), { discard: true }))

    it.live("E12 late publishers and their successors in one slot: two judges see what each has written, nothing else", () =>
      backend.manual(smallestLog, (log) =>
        Effect.gen(function*() {
          const judges = yield* attachJudges(log, Slots)
          const written = new Map<number, number>()
          for (let round = 0; round < 30; round += 1) yield* lateRound(log, judges, 1 + round % 5, written)
          assert.strictEqual(written.size, 60)
          judges.agree(written)
        })))
  })
}

// --- internal ---

type Judges = Effect.Success<ReturnType<typeof attachJudges>>

/**
 * A publisher has room for a record when its session ends, and writes it late; as soon as the slot can be had, another
 * session fills the lane. The test does not ask whether that is before the late record: only the judges say what became of
 * the bytes.
 */
const lateRound = Effect.fnUntraced(function*(
  log: ManualLog,
  judges: Judges,
  records: number,
  written: Map<number, number>
) {
  const { close, port } = yield* log.open(Slots)
  const former = yield* makePublisher(Slots, () => admitted(port), { linger: "1 hour" })
  for (let sequence = 0; sequence < records; sequence += 1) {
    assert.isTrue(former.offer(new Uint8Array(recordBytes).fill(stampOf(port.sessionId, sequence))))
    former.seal()
  }
  yield* settled(log)
  judges.see()
  written.set(port.sessionId, records)
  const next = yield* Effect.scoped(Effect.gen(function*() {
    const claim = yield* former.claim(recordBytes)
    yield* spoiled(log, port)
    yield* Effect.flip(former.awaitAcknowledged(records + 1))
    const early = yield* Effect.option(log.open(Slots))
    if (early._tag === "Some") written.set(early.value.port.sessionId, filled(early.value.port))
    claim.bytes.set(lateBytes)
    claim.commit()
    return Option.getOrUndefined(early)
  }))
  const successor = next ?? (yield* log.open(Slots))
  if (next === undefined) written.set(successor.port.sessionId, filled(successor.port))
  assert.isFalse(former.offer(lateBytes))
  former.seal()
  yield* settled(log)
  judges.see()
  yield* close
  yield* successor.close
  yield* settled(log)
})

const recordBytes = 1000

/** Bytes that differ, as those of no batch here do: they show wherever a late publisher has written. */
const lateBytes = Uint8Array.from({ length: recordBytes }, (_, i) => i & 1)

/** Fills the lane with batches, and returns how many. */
const filled = (lanes: LanePort): number => {
  let sequence = 0
  while (writeBatch(lanes, 0, { sequence, firstMessage: sequence, lengths: [recordBytes] })) sequence += 1
  lanes.publish(0)
  return sequence
}

const settled = Effect.fnUntraced(function*(log: ManualLog) {
  while (yield* log.step) continue
})

/** Publishes a sequence on the other broker that the session cannot have reached: the sequencer ends it. */
const spoiled = Effect.fnUntraced(function*(log: ManualLog, lanes: LanePort) {
  const batchSequence = 2 ** 40
  const broker = 1
  assert.isDefined(lanes.begin(broker, batchSequence))
  lanes.seal(broker, {
    batchSequence,
    firstMessage: 0,
    messageCount: 1,
    payloadBytes: 8,
    uniformBytes: 8,
    lengths: new Uint32Array(0)
  })
  lanes.publish(broker)
  while (yield* log.step) continue
  assert.strictEqual(lanes.ended(), "corrupt")
})

const textsOf = (reader: IndexPort): ReadonlyArray<string> =>
  reader.poll(16).map(({ payload }) => textOf(payload.slice()))
