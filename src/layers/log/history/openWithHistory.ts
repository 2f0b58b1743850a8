/**
 * Opens a reader where memory has the records, or else in the files of replicas, from where it joins memory.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Topic } from "../../../services/schema/Topic.ts"
import {
  defaultFrom,
  type From,
  HistoryUnreadable,
  type OpenReaderError,
  type SubscriberOptions,
  type TopicBounds
} from "../../../services/Subscriber.ts"
import { formatCount } from "../../../services/text/quantities.ts"
import type { History, HistoryReader } from "../../ports/History.ts"
import type { IndexPort } from "../../ports/IndexPort.ts"
import type { LogWaiter } from "../../ports/Waiter.ts"
import { JoinedReader } from "./JoinedReader.ts"

/** The live log, as a backend opens it. */
export interface LiveLog {
  readonly open: (from: From) => Effect.Effect<IndexPort, OpenReaderError, Scope.Scope>
  readonly bounds: Effect.Effect<TopicBounds, OpenReaderError>
  readonly waiter: LogWaiter
}

/** A reader of what `options.from` asks for. Without `history` only memory is read. */
export const openWithHistory = (
  topic: Topic<any>,
  options: SubscriberOptions | undefined,
  history: History | undefined,
  live: LiveLog
): Effect.Effect<IndexPort, OpenReaderError | HistoryUnreadable, Scope.Scope> =>
  Effect.gen(function*() {
    const from = options?.from ?? defaultFrom
    if (history === undefined || from === "end" || topic.order === "none") return yield* live.open(from)
    const trimmed = yield* trimmedPosition(topic, from, history, live)
    if (trimmed === undefined) return yield* live.open(from)
    const reader = yield* history.open(topic.name, trimmed)
    const { end } = yield* live.bounds
    const joined = new JoinedReader(live.waiter, reader.next(), end)
    const scope = yield* Effect.scope
    const isDurable = options?.isolation === "durable"
    yield* Effect.forkScoped(
      reading({ topic: topic.name, joined, reader, live, scope, isDurable }).pipe(
        Effect.catch((error) => Effect.sync(() => joined.fail(unreadable(topic.name, error))))
      )
    )
    return joined
  })

// --- internal ---

/** The position to begin at, if memory no longer has it. */
const trimmedPosition = (topic: Topic<any>, from: From, history: History, live: LiveLog) =>
  Effect.gen(function*() {
    const bounds = yield* Effect.option(live.bounds)
    // A topic that does not exist has no history: opening it says so, or declares it.
    if (bounds._tag === "None" || bounds.value.start === 0) return undefined
    const { start } = bounds.value
    const position = typeof from === "object" ? from.position : (yield* history.start(topic.name)) ?? start
    return position < start ? position : undefined
  })

interface Reading {
  readonly topic: string
  readonly joined: JoinedReader
  readonly reader: HistoryReader
  readonly live: LiveLog
  readonly scope: Scope.Scope
  /** Whether it reads no further than what is on the disks of the required replicas. */
  readonly isDurable: boolean
}

/** How long the files may end before memory begins: a replica that writes them is never that late. */
const behindMillis = 30_000
const lookMillis = 20

const reading = (
  { isDurable, joined, live, reader, scope, topic }: Reading
): Effect.Effect<void, OpenReaderError | HistoryUnreadable> =>
  Effect.gen(function*() {
    let waitsSince: number | undefined
    while (true) {
      yield* joined.untilTaken
      const { position } = reader.next()
      const { durable = 0, end, start } = yield* live.bounds
      // Not at once where memory begins: publishers wait for a reader there.
      if (position >= start + (end - start) / 4 && (yield* join(topic, joined, reader, live, scope))) return
      const mayRead = !isDurable || position < durable
      const batches = mayRead ? yield* reader.pull : []
      if (batches.length > 0) {
        waitsSince = undefined
        joined.give(batches, end)
        continue
      }
      if (position >= start && (yield* join(topic, joined, reader, live, scope))) return
      const now = yield* Clock.currentTimeMillis
      waitsSince ??= now
      if (now - waitsSince >= behindMillis) return yield* Effect.fail(ended(topic, position, start))
      yield* Effect.sleep(lookMillis)
    }
  })

/** False when memory has trimmed the position meanwhile. */
const join = (topic: string, joined: JoinedReader, reader: HistoryReader, live: LiveLog, scope: Scope.Scope) =>
  Effect.gen(function*() {
    const { index, position } = reader.next()
    const own = yield* Scope.fork(scope)
    const opened = yield* Scope.provide(live.open({ position }), own).pipe(
      Effect.catchTag("PositionTrimmed", () => Effect.as(Scope.close(own, Exit.void), undefined))
    )
    if (opened === undefined) return false
    if (opened.next() === index) {
      joined.join(opened)
      return true
    }
    const detail = `memory has batch ${opened.next()} at position ${position}, where the files have batch ${index}`
    return yield* new HistoryUnreadable({
      topic,
      position,
      detail,
      nextStep: "name the directory of a replica of this log"
    })
  })

const ended = (topic: string, position: number, start: number): HistoryUnreadable =>
  new HistoryUnreadable({
    topic,
    position,
    detail: `the files end there, and memory begins at ${formatCount(start)}`,
    nextStep: "see `ringfence doctor` for the replica that writes them, or name the directory of another"
  })

const unreadable = (topic: string, error: OpenReaderError | HistoryUnreadable): HistoryUnreadable =>
  error._tag === "HistoryUnreadable"
    ? error
    : new HistoryUnreadable({ topic, position: 0, detail: error.message, nextStep: "open the subscriber again" })
