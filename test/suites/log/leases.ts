/**
 * Leases of sessions over any backend: a gap that lasts too long ends its session, and its publisher resumes with exactly
 * what was not committed.
 */
import { assert, describe, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { makePublisher } from "../../../src/layers/log/publisher/makePublisher.ts"
import type { LanePort } from "../../../src/layers/ports/LanePort.ts"
import { Diagnostics } from "../../../src/services/Diagnostics.ts"
import type { PublisherHandle, PublisherOptions } from "../../../src/services/Publisher.ts"
import { RegionError } from "../../../src/services/schema/RegionError.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Sequencer, type SequencerEvent } from "../../../src/services/Sequencer.ts"
import { Subscriber, type SubscriberHandle } from "../../../src/services/Subscriber.ts"
import { type Backend, bytesOf, OpenLanes, smallGeometry, textOf } from "../../backends/log.ts"
import { agreeOn, bothJudging, textAt } from "../../faults/judge.ts"

const Lines = Topic.make("lines")

const lease = "100 millis"

/** For tests that open a claim before it passes. */
const slowLease = "1 second"

const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `r${from + i}`)

/** Lanes that publish nothing on some brokers, as if their process stood still between two: the session has a gap. */
interface Stopping {
  readonly brokers: Set<number>
  /** Whether they are held. Ends with each session that is opened. */
  holds: boolean
  /** Batches for which the lanes of later sessions have room. */
  room: number
  /** Sessions opened. */
  opened: number
  /** Openings begun. */
  begun: number
  /** How many waits for later sessions fail although these are adopted: their deadline passes before they are told. */
  tooLate: number
}

const stopping = (lanes: LanePort, stop: Stopping): LanePort => {
  stop.opened += 1
  const number = stop.opened
  if (stop.opened > 1) stop.holds = false
  return new Proxy(lanes, {
    get: (target, key) => {
      if (key === "publish") {
        return (broker: number) => stop.holds && stop.brokers.has(broker) ? undefined : target.publish(broker)
      }
      if (key === "begin" && number > 1) {
        return (broker: number, batch: number) => batch < stop.room ? target.begin(broker, batch) : undefined
      }
      const value = Reflect.get(target, key, target)
      return typeof value === "function" ? value.bind(target) : value
    }
  })
}

const openStopping = (options: PublisherOptions = {}, brokers: ReadonlyArray<number> = [0]) =>
  Effect.gen(function*() {
    const { admit } = yield* OpenLanes
    const stop: Stopping = { brokers: new Set(brokers), holds: true, room: Infinity, opened: 0, begun: 0, tooLate: 0 }
    const told = (lanes: LanePort) =>
      Effect.suspend(() => {
        if (stop.begun === 1 || stop.tooLate === 0) return Effect.succeed(stopping(lanes, stop))
        stop.tooLate -= 1
        return Effect.fail(new RegionError({ fault: "notAnswering", region: "test", detail: "too late", hint: "wait" }))
      })
    const admitLanes = (continues: number) =>
      Effect.map(admit(Lines, options, continues), (admission) => {
        stop.begun += 1
        return { ...admission, lanes: Effect.flatMap(admission.lanes, told) }
      })
    const publisher = yield* makePublisher(Lines, admitLanes, { batchBytes: 64, ...options })
    return { publisher, stop }
  })

const read = (subscriber: SubscriberHandle<Uint8Array>, count: number) =>
  subscriber.records.pipe(
    Stream.take(count),
    Stream.map(({ position, value }) => [position, textOf(value)] as const),
    Stream.runCollect
  )

/** Two judges of all records of one publisher. */
const judges = (count: number) => bothJudging(Lines, count, textAt((position) => `r${position}`))

const inOrder = (count: number) => numbered(0, count).map((text, i) => [i, text] as const)

const send = (publisher: PublisherHandle<Uint8Array>, from: number, to: number) =>
  publisher.sendAll(numbered(from, to).map(bytesOf))

const following = (tag: SequencerEvent["_tag"], count: number) =>
  Effect.gen(function*() {
    const { events } = yield* Sequencer
    const following = events.pipe(Stream.filter(({ _tag }) => _tag === tag), Stream.take(count), Stream.runCollect)
    return yield* Effect.forkChild(following, { startImmediately: true })
  })

const listened = () => {
  const lines: Array<string> = []
  return { lines, layer: Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))]) }
}

export const leasesSuite = (backend: Backend): void => {
  const provide = (own: Duration.Input = lease) =>
    Effect.provide(backend.withLanes({ geometry: smallGeometry, serve: { lease: own } }))

  describe(`leases of sessions (${backend.name})`, () => {
    for (const identity of [undefined, "a"]) {
      const who = identity === undefined ? "without an identity" : "with an identity"
      it.live(`E06 a gap that outlives the lease: the publisher resumes with exactly the rest (${who})`, () => {
        const { layer, lines } = listened()
        return Effect.gen(function*() {
          const subscriber = yield* Subscriber.open(Lines)
          const both = yield* judges(230)
          const ends = yield* following("SessionEnded", 1)
          const { publisher, stop } = yield* openStopping({ identity })
          const first = publisher.sessionId
          // The gap begins behind the first batches, and lasts until the lease has passed.
          const begun = performance.now()
          yield* send(publisher, 0, 200)
          yield* publisher.flush
          assert.isAtLeast(performance.now() - begun, 90)
          assert.strictEqual(stop.opened, 2)
          assert.notStrictEqual(publisher.sessionId, first)
          assert.deepStrictEqual([publisher.accepted(), publisher.acknowledged()], [200, 200])
          const acks = publisher.acks()
          assert.deepInclude(acks, { sessionId: publisher.sessionId, published: 200, acknowledged: 200 })
          assert.strictEqual(acks.byBroker.reduce((sum, messages) => sum + messages, 0), 200)
          yield* send(publisher, 200, 230)
          yield* publisher.flush
          assert.deepStrictEqual(yield* read(subscriber, 230), inOrder(230))
          yield* agreeOn(both, 230)
          const [ended] = yield* Fiber.join(ends)
          assert.isTrue(ended?._tag === "SessionEnded" && ended.reason === "outlived" && ended.sessionId === first)
          assert.strictEqual(lines.filter((line) => line.includes("outlived its lease")).length, 1)
          const { identities } = yield* Diagnostics.use(({ snapshot }) => snapshot)
          assert.deepStrictEqual(
            identities.map(({ committed, incarnation }) => [incarnation, committed]),
            identity === undefined ? [] : [[2, 230]]
          )
        }).pipe(Effect.scoped, provide(), Effect.provide(layer))
      })
    }

    it.live("E08 a gap ahead of the first batch: nothing was committed, and everything comes once", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines)
        const both = yield* judges(200)
        const ends = yield* following("SessionEnded", 1)
        const { publisher, stop } = yield* openStopping({}, [0])
        yield* send(publisher, 0, 200)
        yield* publisher.flush
        assert.strictEqual(stop.opened, 2)
        const [ended] = yield* Fiber.join(ends)
        assert.deepInclude(ended, { reason: "outlived", committedMessages: 0 })
        assert.deepStrictEqual(yield* read(subscriber, 200), inOrder(200))
        yield* agreeOn(both, 200)
      }).pipe(Effect.scoped, provide()))

    it.live("an idle publisher resumes too; records of all lengths and the open batch go along", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines)
        const { publisher } = yield* openStopping({ linger: "1 hour", batchBytes: 256 }, [0, 1])
        const texts = Array.from({ length: 60 }, (_, i) => `${i}:${"x".repeat((i * 37) % 97)}`)
        for (const text of texts) assert.isTrue(publisher.offer(bytesOf(text)))
        publisher.offer(bytesOf(""))
        const found = yield* read(subscriber, 61)
        assert.deepStrictEqual(found.map(([, text]) => text), [...texts, ""])
        yield* publisher.flush
        assert.strictEqual(publisher.acknowledged(), 61)
      }).pipe(Effect.scoped, provide()))

    it.live("while it resumes send waits, offer is false, and the counts go on", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines)
        const found: Array<string> = []
        const reading = Stream.runForEach(
          subscriber.records,
          ({ value }) => Effect.sync(() => found.push(textOf(value)))
        )
        yield* Effect.forkChild(reading, { startImmediately: true })
        const { open } = yield* OpenLanes
        const { publisher, stop } = yield* openStopping()
        stop.room = 0
        yield* send(publisher, 0, 100)
        let sent = 100
        let refused = 0
        const counts: Array<number> = []
        const begun = performance.now()
        while (performance.now() - begun < 400) {
          if (publisher.offer(bytesOf(`r${sent}`))) sent += 1
          else refused += 1
          counts.push(publisher.accepted(), publisher.acknowledged())
          assert.strictEqual(publisher.accepted(), sent)
          yield* Effect.sleep(1)
        }
        assert.strictEqual(stop.opened, 2)
        assert.isAbove(refused, 0)
        const sending = yield* Effect.forkChild(send(publisher, sent, sent + 50), { startImmediately: true })
        yield* Effect.sleep(20)
        assert.strictEqual(sending.pollUnsafe(), undefined)
        stop.room = Infinity
        // A change of the log, of which it is told.
        yield* Effect.scoped(open(Lines, {}, 0))
        yield* Fiber.join(sending)
        const acknowledged = counts.filter((_, i) => i % 2 === 1)
        assert.deepStrictEqual(acknowledged, acknowledged.toSorted((a, b) => a - b))
        yield* publisher.awaitAcknowledged(sent + 50)
        while (found.length < sent + 50) yield* Effect.sleep(1)
        assert.deepStrictEqual(found, numbered(0, sent + 50))
      }).pipe(Effect.scoped, provide()))

    it.live("nothing newer comes between what is appended again", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines)
        const { open } = yield* OpenLanes
        const { publisher, stop } = yield* openStopping()
        stop.room = 3
        yield* send(publisher, 0, 100)
        while (stop.opened < 2) yield* Effect.sleep(1)
        yield* Effect.sleep(50)
        assert.strictEqual(publisher.accepted(), 100)
        // The room is there, and the publisher has not yet noticed.
        stop.room = Infinity
        assert.isFalse(publisher.offer(bytesOf("too early")))
        // A change of the log, of which it is told.
        yield* Effect.scoped(open(Lines, {}, 0))
        yield* send(publisher, 100, 120)
        yield* publisher.flush
        assert.deepStrictEqual(yield* read(subscriber, 120), inOrder(120))
      }).pipe(Effect.scoped, provide()))

    it.live("what was late is not late again: batches that are later than the lease are committed by the next session", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines)
        const { publisher, stop } = yield* openStopping({ skew: "2 seconds" }, [])
        yield* send(publisher, 0, 200)
        yield* publisher.flush
        assert.strictEqual(stop.opened, 2)
        assert.deepStrictEqual(yield* read(subscriber, 200), inOrder(200))
      }).pipe(Effect.scoped, provide("50 millis")))

    it.live("an open claim is waited for, and its record goes along", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines)
        const { publisher, stop } = yield* openStopping({ batchBytes: 256 })
        yield* send(publisher, 0, 100)
        yield* Effect.scoped(Effect.gen(function*() {
          const claim = yield* publisher.claim(4)
          yield* Effect.sleep(300)
          assert.strictEqual(stop.opened, 1)
          claim.bytes.set(bytesOf("r100"))
          claim.commit()
        }))
        yield* publisher.flush
        assert.strictEqual(stop.opened, 2)
        assert.deepStrictEqual(yield* read(subscriber, 101), inOrder(101))
      }).pipe(Effect.scoped, provide()))

    it.live("a publisher that is closed while its session has outlived its lease publishes the rest first", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines)
        const scope = yield* Scope.fork(yield* Effect.scope)
        const ends = yield* following("SessionEnded", 1)
        const { publisher } = yield* openStopping().pipe(Scope.provide(scope))
        // The open claim keeps it from resuming until it is closed, which drops the claim.
        yield* send(publisher, 0, 100)
        yield* publisher.claim(4).pipe(Scope.provide(scope))
        yield* Fiber.join(ends)
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(yield* read(subscriber, 100), inOrder(100))
      }).pipe(Effect.scoped, provide(slowLease)))

    it.live("a publisher whose identity was taken meanwhile does not resume: PublisherFenced", () =>
      Effect.gen(function*() {
        const { open } = yield* OpenLanes
        const { publisher } = yield* openStopping({ identity: "a" })
        yield* send(publisher, 0, 50)
        const error = yield* Effect.scoped(Effect.gen(function*() {
          const ends = yield* following("SessionEnded", 1)
          yield* publisher.claim(4)
          yield* Fiber.join(ends)
          const newer = yield* open(Lines, { identity: "a" }, 0)
          assert.deepInclude(newer.identity, { incarnation: 2, base: publisher.acknowledged() })
          return yield* Effect.forkChild(Effect.flip(publisher.awaitAcknowledged(50)), { startImmediately: true })
        }))
        const fenced = yield* Fiber.join(error)
        assert.isTrue(
          fenced._tag === "PublisherFenced" && fenced.acknowledged === publisher.acknowledged(),
          fenced.message
        )
        assert.isFalse(publisher.offer(bytesOf("late")))
      }).pipe(Effect.scoped, provide(slowLease)))

    it.live("a session that is adopted as its opening's deadline passes is not given up: it fences nobody", () =>
      Effect.gen(function*() {
        const subscriber = yield* Subscriber.open(Lines)
        const { publisher, stop } = yield* openStopping({ identity: "a" })
        stop.tooLate = 2
        yield* send(publisher, 0, 200)
        yield* publisher.flush
        assert.deepStrictEqual([stop.tooLate, stop.begun, stop.opened], [0, 2, 2])
        assert.deepStrictEqual(yield* read(subscriber, 200), inOrder(200))
        const { identities } = yield* Diagnostics.use(({ snapshot }) => snapshot)
        assert.deepStrictEqual(identities.map(({ committed, incarnation }) => [incarnation, committed]), [[2, 200]])
      }).pipe(Effect.scoped, provide()))

    it.live("a claim that nobody adopts before its deadline is kept, and adopted when the sequencer goes on", () =>
      Effect.gen(function*() {
        const sequencer = yield* Sequencer
        const subscriber = yield* Subscriber.open(Lines)
        const ends = yield* following("SessionEnded", 1)
        const { publisher, stop } = yield* openStopping({ identity: "a", openDeadline: "20 millis" })
        // The open claim keeps it from resuming until the sequencer stands still.
        yield* Effect.scoped(Effect.gen(function*() {
          yield* send(publisher, 0, 100)
          yield* publisher.claim(4)
          yield* Fiber.join(ends)
          yield* sequencer.pause
        }))
        while (stop.begun < 2) yield* Effect.sleep(1)
        // Several deadlines pass.
        yield* Effect.sleep(400)
        assert.deepStrictEqual([stop.begun, stop.opened], [2, 1])
        yield* sequencer.resume
        yield* publisher.flush
        assert.deepStrictEqual([stop.begun, stop.opened], [2, 2])
        assert.deepStrictEqual(yield* read(subscriber, 100), inOrder(100))
      }).pipe(Effect.scoped, provide(slowLease)))

    it.live("back-pressure, idleness, a paused sequencer and other sessions' fences fence no session", () =>
      Effect.gen(function*() {
        const sequencer = yield* Sequencer
        const subscriber = yield* Subscriber.open(Lines)
        const { publisher } = yield* openStopping({ skew: "5 millis" }, [])
        const first = publisher.sessionId
        yield* Effect.sleep(300)
        // The log is full: nothing is taken from the lanes, and batches lie behind each other.
        let sent = 0
        while (publisher.offer(bytesOf(`r${sent}`))) sent += 1
        yield* Effect.sleep(300)
        const reading = yield* Effect.forkChild(read(subscriber, sent + 100), { startImmediately: true })
        yield* publisher.flush
        yield* send(publisher, sent, sent + 100)
        yield* sequencer.pause
        publisher.seal()
        yield* Effect.sleep(300)
        yield* sequencer.resume
        yield* publisher.flush
        const other = yield* openStopping()
        const ends = yield* following("SessionEnded", 1)
        yield* send(other.publisher, 0, 40)
        const [ended] = yield* Fiber.join(ends)
        assert.isTrue(ended?._tag === "SessionEnded" && ended.sessionId !== first)
        assert.strictEqual(publisher.sessionId, first)
        assert.deepStrictEqual(yield* Fiber.join(reading), inOrder(sent + 100))
      }).pipe(Effect.scoped, provide()))

    it.live("a lease of 0 waits for ever", () =>
      Effect.gen(function*() {
        const { publisher, stop } = yield* openStopping()
        yield* send(publisher, 0, 100)
        yield* Effect.sleep(400)
        assert.strictEqual(stop.opened, 1)
        stop.holds = false
        yield* send(publisher, 100, 200)
        yield* publisher.flush
        assert.strictEqual(stop.opened, 1)
      }).pipe(Effect.scoped, provide(0)))

    it.live("an impossible lease is refused", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(
          Layer.build(backend.embedded({ geometry: smallGeometry, serve: { lease: -1 } }))
        )
        assert.isTrue(error._tag === "RegionError" && error.fault === "invalid", error.message)
        assert.include(error.message, "lease")
      }).pipe(Effect.scoped))

    it.live(
      "E09 fifty fences in a row: each session commits its part, and nothing is left of them",
      () =>
        Effect.gen(function*() {
          const subscriber = yield* Subscriber.open(Lines)
          const rounds = 50
          const part = 100
          const both = yield* judges(rounds * part)
          const reading = yield* Effect.forkChild(read(subscriber, rounds * part), { startImmediately: true })
          const { publisher, stop } = yield* openStopping({ identity: "a" })
          for (let round = 0; round < rounds; round += 1) {
            stop.holds = true
            yield* send(publisher, round * part, round * part + part)
            yield* publisher.flush
          }
          assert.strictEqual(publisher.acknowledged(), rounds * part)
          assert.strictEqual(stop.opened, rounds + 1)
          assert.deepStrictEqual(yield* Fiber.join(reading), inOrder(rounds * part))
          yield* agreeOn(both, rounds * part)
          const { identities, sessions } = yield* Diagnostics.use(({ snapshot }) => snapshot)
          assert.strictEqual(identities.length, 1)
          assert.strictEqual(sessions.filter(({ state }) => state === "open").length, 1)
          assert.deepStrictEqual(sessions.filter(({ quarantined }) => quarantined), [])
        }).pipe(Effect.scoped, provide("20 millis"), Effect.provide(listened().layer)),
      60_000
    )
  })
}
