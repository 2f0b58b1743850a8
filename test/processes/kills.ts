/**
 * What the tests of killed and stopped processes have in common, under each order of their topic.
 */
import { assert } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as CxlMemory from "../../src/layers/CxlMemory.ts"
import * as Log from "../../src/layers/Log.ts"
import { Publisher } from "../../src/services/Publisher.ts"
import type { Topic } from "../../src/services/schema/Topic.ts"
import { Sequencer, type SequencerEvent } from "../../src/services/Sequencer.ts"
import { start } from "./harness.ts"
import { Stamped } from "./stamped.ts"

export const geometry = {
  brokers: 4,
  clients: 2,
  topics: 2,
  readers: 4,
  laneSlots: 64,
  laneBytes: 256 * 1024,
  batchBytes: 8192,
  indexEntries: 256
}

export const serving = (region: string, topic: Topic) =>
  Log.layerEmbedded({ topics: [topic], stallAfter: "200 millis" }).pipe(
    Layer.provideMerge(CxlMemory.layerShm({ region, geometry }))
  )

export const withinOneSecond = Effect.timeout("1 second")

/** The first matching event from now on. */
export const nextEvent = (fits: (event: SequencerEvent) => boolean) =>
  Effect.flatMap(
    Sequencer,
    (sequencer) =>
      Effect.forkChild(sequencer.events.pipe(Stream.filter(fits), Stream.runHead), { startImmediately: true })
  )

export const endOf = (sessionId: number) => (event: SequencerEvent) =>
  event._tag === "SessionEnded" && event.sessionId === sessionId

const stallOf = (reader: string) => (event: SequencerEvent) => event._tag === "ReaderStalled" && event.reader === reader

/** Offers stamped records, and yields so that acknowledgements, deaths and signals are noticed. */
export const sending = (topic: Topic) =>
  Effect.map(Publisher.open(topic, { roomDeadline: "1 second" }), (publisher) => {
    const record = new Uint8Array(256)
    const send = Effect.suspend(() => {
      Stamped.write(record, publisher.sessionId, publisher.accepted())
      return publisher.offer(record) ? Effect.void : publisher.send(record)
    })
    return { publisher, send }
  })

const orderOf = (topic: Topic) => topic.order === "none" ? "none" : undefined

/** Publishers go on within a second of the death of the subscriber that held them up; so many of them, one by one. */
export const killingSubscribers = (
  region: string,
  topic: Topic,
  kills: number,
  random: (below: number) => number
) =>
  Effect.gen(function*() {
    const { publisher, send } = yield* sending(topic)
    for (let round = 0; round < kills; round += 1) {
      yield* Effect.scoped(Effect.gen(function*() {
        const name = `victim-${round}`
        const actor = yield* start("subscribe", region, { name, from: "end", order: orderOf(topic) })
        yield* actor.ready
        const running = yield* Effect.forkChild(Effect.forever(Effect.andThen(send, Effect.yieldNow)))
        yield* actor.acknowledged(1 + random(2000))
        // Stop it first, so that it certainly is the gate when it dies.
        const stalled = yield* nextEvent(stallOf(name))
        actor.signal("SIGSTOP")
        yield* Fiber.join(stalled)
        const accepted = publisher.accepted()
        actor.signal("SIGKILL")
        yield* actor.exit
        yield* withinOneSecond(Effect.gen(function*() {
          while (publisher.accepted() < accepted + 1000) yield* Effect.sleep(1)
        }))
        yield* Fiber.interrupt(running)
      }))
    }
    return publisher
  })

/** Publishers wait for a stopped subscriber, and name it; it misses nothing when it continues. */
export const stoppingSubscriber = (region: string, topic: Topic, forAtLeast: Duration.Input) =>
  Effect.gen(function*() {
    const total = 60_000
    const actor = yield* start("subscribe", region, { name: "sleeper", records: total, order: orderOf(topic) })
    yield* actor.ready
    const { publisher, send } = yield* sending(topic)
    while (publisher.accepted() < 20_000) yield* send
    const stalled = yield* nextEvent(stallOf("sleeper"))
    actor.signal("SIGSTOP")
    const stopped = yield* Effect.forkChild(Effect.sleep(forAtLeast))
    const error = yield* Effect.flip(Effect.forever(send))
    assert.isTrue(
      error._tag === "Backpressure" && error.waitingOn.includes(`subscriber "sleeper" (pid ${actor.pid})`),
      String(error)
    )
    yield* Fiber.join(stalled)
    yield* Fiber.join(stopped)
    actor.signal("SIGCONT")
    while (publisher.accepted() < total) yield* send
    yield* publisher.flush
    const done = yield* actor.told((message) => message._tag === "done")
    assert.strictEqual(done.records, total)
  })
