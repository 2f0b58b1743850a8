/**
 * Topics whose places are given to others: a new name among taken places frees a place that no session and no reader uses.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { AckTracker } from "../../../src/services/AckTracker.ts"
import { Diagnostics } from "../../../src/services/Diagnostics.ts"
import { type OpenPublisherError, Publisher } from "../../../src/services/Publisher.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import { Sequencer } from "../../../src/services/Sequencer.ts"
import { type OpenSubscriberError, Subscriber } from "../../../src/services/Subscriber.ts"
import { type Backend, type BackendOptions, bytesOf, smallGeometry, textOf } from "../../backends/log.ts"

export const topicReuseSuite = (backend: Backend): void => {
  const provide = (options?: BackendOptions) => Effect.provide(backend.embedded({ geometry, ...options }))

  describe(`places of topics (${backend.name})`, () => {
    it.live("are given to a new name when all are taken, and the others keep what they have", () =>
      Effect.gen(function*() {
        yield* Effect.forEach(four, (name) => publish(name, 3))
        yield* publish("new", 5)
        assert.deepStrictEqual(yield* kept("new"), recordsOf("new", 5))
        assert.deepStrictEqual(yield* topicNames, ["new", "t1", "t2", "t3"])
        for (const name of ["t1", "t2", "t3"]) assert.deepStrictEqual(yield* kept(name), recordsOf(name, 3))
      }).pipe(Effect.scoped, provide()))

    it.live("come first from topics of which nothing is kept, then from those left alone for longest", () =>
      Effect.gen(function*() {
        yield* Effect.forEach(["t0", "t1", "t2"], (name) => publish(name, 1))
        yield* publish("empty", 0)
        yield* publish("t0", 1)
        yield* publish("a", 1)
        assert.deepStrictEqual(yield* topicNames, ["a", "t0", "t1", "t2"])
        yield* publish("b", 1)
        assert.deepStrictEqual(yield* topicNames, ["a", "b", "t0", "t2"])
        yield* publish("c", 1)
        assert.deepStrictEqual(yield* topicNames, ["a", "b", "c", "t0"])
        yield* publish("d", 1)
        assert.deepStrictEqual(yield* topicNames, ["a", "b", "c", "d"])
      }).pipe(Effect.scoped, provide()))

    it.live("are kept longer by a subscriber that has come and gone", () =>
      Effect.gen(function*() {
        yield* Effect.forEach(four, (name) => publish(name, 1))
        assert.deepStrictEqual(yield* kept("t0"), recordsOf("t0", 1))
        yield* publish("a", 1)
        assert.deepStrictEqual(yield* topicNames, ["a", "t0", "t2", "t3"])
      }).pipe(Effect.scoped, provide()))

    it.live("are never taken from a topic that has a publisher or a subscriber, be it empty and idle", () =>
      Effect.gen(function*() {
        const publisher = yield* Publisher.open(Topic.make("published"))
        const subscriber = yield* Subscriber.open(Topic.make("subscribed"))
        yield* Effect.forEach(names("n", 10), (name) => publish(name, 1))
        assert.includeMembers([...yield* topicNames], ["published", "subscribed"])
        yield* publisher.sendAll(recordsOf("published", 3).map(bytesOf))
        yield* publisher.flush
        assert.deepStrictEqual(yield* kept("published"), recordsOf("published", 3))
        yield* publish("subscribed", 3)
        assert.deepStrictEqual(yield* texts(subscriber.records, 3), recordsOf("subscribed", 3))
      }).pipe(Effect.scoped, provide()))

    it.live("are never taken from a topic that the server has named", () =>
      Effect.gen(function*() {
        yield* publish("full", 3)
        yield* Effect.forEach(names("n", 10), (name) => publish(name, 1))
        assert.includeMembers([...yield* topicNames], ["empty", "full"])
        assert.deepStrictEqual(yield* kept("full"), recordsOf("full", 3))
      }).pipe(Effect.scoped, provide({ serve: { topics: [Topic.make("empty"), Topic.make("full")] } })))

    it.live("are none when all topics are in use or named, and the error says so; a place that is given up is", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.fork(yield* Effect.scope)
        yield* Publisher.open(Topic.make("published")).pipe(Scope.provide(scope))
        yield* Publisher.open(Topic.make("published-too"))
        yield* Subscriber.open(Topic.make("subscribed"))
        const New = Topic.make("new")
        const openings: ReadonlyArray<
          Effect.Effect<unknown, OpenSubscriberError | OpenPublisherError, Publisher | Subscriber | Scope.Scope>
        > = [Publisher.open(New), Subscriber.open(New)]
        for (const opening of openings) {
          const error = yield* Effect.flip(opening)
          assert.isTrue(error._tag === "RegionError" && error.fault === "full", error.message)
          if (error._tag !== "RegionError") return
          assert.deepStrictEqual(error.sizes, ["topics"])
          assert.include(error.message, "all 4 topics of the region are in use or named by the server")
          assert.include(
            error.message,
            "(close the publishers and subscribers of one, or create the region with more topics"
          )
        }
        // Its session ends with the sequencer's next passes, for which the opening waits.
        yield* Scope.close(scope, Exit.void)
        yield* Publisher.open(Topic.make("new"))
        assert.deepStrictEqual(yield* topicNames, ["named", "new", "published-too", "subscribed"])
      }).pipe(Effect.scoped, provide({ serve: { topics: [Topic.make("named")] } })))

    it.live("are no memory of the former topic: a name that is declared again begins at position 0, as it likes", () =>
      Effect.gen(function*() {
        yield* publish("a", 3)
        yield* publish("b", 1)
        const again = Topic.make("a", { order: "total", ack: "none" })
        const subscriber = yield* Subscriber.open(again, { from: "end" })
        assert.strictEqual(subscriber.position(), 0)
        assert.strictEqual(subscriber.committedMessages(), 0)
        const publisher = yield* Publisher.open(again)
        yield* publisher.send(bytesOf("fresh"))
        publisher.seal()
        const [record] = yield* subscriber.records.pipe(Stream.take(1), Stream.runCollect)
        assert.deepStrictEqual([record?.position, record && textOf(record.value)], [0, "fresh"])
        const { topics } = yield* snapshot
        assert.deepStrictEqual(
          topics.map(({ ack, committedBatches, committedBytes, committedMessages, name, order, trimmedMessages }) => ({
            name,
            order,
            ack,
            counts: [committedBatches, committedMessages, committedBytes, trimmedMessages]
          })),
          [{ name: "a", order: "total", ack: "none", counts: [1, 1, 5, 0] }]
        )
      }).pipe(Effect.scoped, provide({ geometry: { ...geometry, topics: 1 } })))

    it.live("are unknown by the name of the former topic, where it must exist", () =>
      Effect.gen(function*() {
        yield* Effect.forEach(four, (name) => publish(name, 1))
        yield* publish("new", 1)
        const error = yield* Effect.flip(Subscriber.open(Topic.make("t0"), { mustExist: true }))
        assert.strictEqual(error._tag, "TopicUnknown")
        if (error._tag !== "TopicUnknown") return
        assert.deepStrictEqual(error.known.toSorted(), ["new", "t1", "t2", "t3"])
        assert.deepStrictEqual(yield* topicNames, ["new", "t1", "t2", "t3"])
      }).pipe(Effect.scoped, provide()))

    it.live("serve 200 names, one after the other", () =>
      Effect.gen(function*() {
        for (const name of names("n", 200)) {
          yield* publish(name, 4)
          assert.deepStrictEqual(yield* kept(name), recordsOf(name, 4))
        }
        assert.deepStrictEqual(yield* topicNames, ["n196", "n197", "n198", "n199"])
      }).pipe(Effect.scoped, provide()))

    it.live("serve three at once, none of which ever sees another's records", () =>
      Effect.gen(function*() {
        yield* Effect.forEach(["a", "b", "c"], (prefix) => Effect.forEach(names(prefix, 60), exchange), {
          concurrency: "unbounded"
        })
        assert.strictEqual(new Set(yield* topicNames).size, 4)
      }).pipe(Effect.scoped, provide()), 60_000)

    it.live("are told of by the names of those who have them now", () =>
      Effect.gen(function*() {
        const sequencer = yield* Sequencer
        const rounds = names("n", 8)
        const watching = yield* Effect.forkChild(
          sequencer.events.pipe(Stream.take(2 * rounds.length), Stream.runCollect),
          { startImmediately: true }
        )
        const sessions = yield* Effect.forEach(rounds, (name) => publish(name, 2))
        const told = yield* Fiber.join(watching)
        const tag = (wanted: "SessionOpened" | "SessionEnded") =>
          told.filter((event) => event._tag === "SessionOpened" || event._tag === "SessionEnded")
            .filter(({ _tag }) => _tag === wanted)
            .map((event) => [event.topic, event.sessionId])
        const expected = rounds.map((name, round) => [name, sessions[round]])
        assert.deepStrictEqual(tag("SessionOpened"), expected)
        assert.deepStrictEqual(tag("SessionEnded"), expected)
      }).pipe(Effect.scoped, provide({ geometry: { ...geometry, topics: 2 } })))

    it.live("are not told of as those of what has ended in a former topic", () =>
      Effect.gen(function*() {
        // Take two slots, so that the rounds reuse the first again and again.
        const olds = yield* Effect.scoped(Effect.forEach(["old0", "old1"], (name) => Publisher.open(Topic.make(name))))
        const rounds = names("n", 8)
        yield* Effect.forEach(rounds, (name) => publish(name, 1))
        const acks = yield* AckTracker.use(({ sessions }) => sessions)
        const shown = [...(yield* snapshot).sessions, ...acks].filter(({ sessionId }) =>
          sessionId === olds[1]?.sessionId
        )
        assert.isNotEmpty(shown)
        for (const { topic } of shown) assert.notInclude(rounds, topic)
      }).pipe(Effect.scoped, provide({ geometry: { ...geometry, topics: 2 } })))

    it.live("are told of by the new name where a subscriber holds up publishers", () =>
      Effect.gen(function*() {
        const sequencer = yield* Sequencer
        yield* publish("old", 1)
        const stalled = yield* Effect.forkChild(
          sequencer.events.pipe(
            Stream.filter(({ _tag }) => _tag === "ReaderStalled"),
            Stream.take(1),
            Stream.runCollect
          ),
          { startImmediately: true }
        )
        yield* Subscriber.open(Topic.make("new"), { name: "sleeper" })
        const publisher = yield* Publisher.open(Topic.make("new"), { roomDeadline: "10 millis" })
        yield* Effect.ignore(Effect.forever(publisher.send(new Uint8Array(4096))))
        const [event] = yield* Fiber.join(stalled)
        assert.deepInclude(event, { _tag: "ReaderStalled", topic: "new", reader: "sleeper" })
      }).pipe(
        Effect.scoped,
        provide({ geometry: { ...geometry, topics: 1 }, serve: { stallAfter: "20 millis", epochLinger: "1 millis" } })
      ))
  })
}

// --- internal ---

const geometry = { ...smallGeometry, topics: 4 }

const names = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`)

/** As many as there are places. */
const four = names("t", 4)

/** The records published under that name, unlike all others. */
const recordsOf = (name: string, count: number) => names(`${name}/`, count)

const snapshot = Diagnostics.use((diagnostics) => diagnostics.snapshot)

const topicNames = Effect.map(snapshot, ({ topics }) => topics.map(({ name }) => name).toSorted())

/** Publishes, and returns the session's id when it has ended: from then on the topic is unused. */
const publish = Effect.fnUntraced(function*(name: string, count: number) {
  const { sessionId } = yield* Effect.scoped(
    Effect.tap(
      Publisher.open(Topic.make(name)),
      (publisher) => Effect.andThen(publisher.sendAll(recordsOf(name, count).map(bytesOf)), publisher.flush)
    )
  )
  const isOpen = Effect.map(
    snapshot,
    ({ sessions }) => sessions.some((session) => session.sessionId === sessionId && session.state === "open")
  )
  while (yield* isOpen) yield* Effect.sleep(1)
  return sessionId
})

const texts = <E>(
  records: Stream.Stream<{ readonly value: Uint8Array; readonly position: number }, E>,
  count: number
) =>
  records.pipe(
    Stream.take(count),
    Stream.runCollect,
    Effect.map((read) => read.map(({ value }) => textOf(value)))
  )

/** The kept records of the topic, which must be complete. */
const kept = (name: string) =>
  Effect.scoped(Effect.gen(function*() {
    const subscriber = yield* Subscriber.open(Topic.make(name), { untilEnd: true, mustExist: true })
    assert.strictEqual(subscriber.position(), 0)
    return yield* texts(subscriber.records, Infinity)
  }))

/** A subscriber and a publisher that close as soon as all records have arrived. */
const exchange = (name: string) =>
  Effect.scoped(Effect.gen(function*() {
    const topic = Topic.make(name)
    const subscriber = yield* Subscriber.open(topic)
    const publisher = yield* Publisher.open(topic)
    yield* publisher.sendAll(recordsOf(name, 5).map(bytesOf))
    const read = yield* subscriber.records.pipe(Stream.take(5), Stream.runCollect)
    assert.deepStrictEqual(
      read.map(({ position, value }) => [position, textOf(value)]),
      recordsOf(name, 5).map((text, position) => [position, text])
    )
  }))
