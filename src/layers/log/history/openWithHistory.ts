/**
 * Opens a reader where memory has the records, or else in the files of replicas, from where it joins memory.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
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
import type { IndexPort, UngatedPort } from "../../ports/IndexPort.ts"
import type { LogWaiter } from "../../ports/Waiter.ts"
import { LappedReader } from "../lag/LappedReader.ts"
import { JoinedReader } from "./JoinedReader.ts"

/** The live log, as a backend opens it. */
export interface LiveLog {
  readonly open: (from: From) => Effect.Effect<IndexPort, OpenReaderError, Scope.Scope>
  /** A reader that holds nothing back. */
  readonly openUngated: (from: From) => Effect.Effect<UngatedPort, OpenReaderError, Scope.Scope>
  readonly bounds: Effect.Effect<TopicBounds, OpenReaderError>
  readonly waiter: LogWaiter
}

/** A reader of what `options.from` asks for. Without `history` only memory is read. */
export const openWithHistory = (
  topic: Topic<any>,
  options: SubscriberOptions | undefined,
  history: History | undefined,
  live: LiveLog
): Effect.Effect<IndexPort, OpenReaderError | HistoryUnreadable, Scope.Scope> => {
  const from = options?.from ?? defaultFrom
  const opening: Opening = { topic, from, isDurable: options?.isolation === "durable", live }
  switch (options?.lag) {
    case "lapped":
      return openLapped(live, from)
    case "history":
      return history === undefined ? withoutHistory(topic.name) : openLagging(opening, history)
    default:
      return history === undefined ? live.open(from) : openJoining(opening, history)
  }
}

// --- internal ---

interface Opening {
  readonly topic: Topic<any>
  readonly from: From
  /** Whether it reads no further than what is on the disks of the required replicas. */
  readonly isDurable: boolean
  readonly live: LiveLog
}

/** Memory keeps what it has not read, once it has come there. */
const openJoining = (opening: Opening, history: History) =>
  Effect.gen(function*() {
    const { from, live, topic } = opening
    const trimmed = yield* trimmedPosition(opening, history)
    if (trimmed === undefined) return yield* live.open(from)
    const reader = yield* history.open(topic.name, trimmed)
    const { end } = yield* live.bounds
    const joined = new JoinedReader(live.waiter, reader.next(), end)
    const scope = yield* Effect.scope
    yield* forkReading(
      opening,
      joined,
      reading(opening, joined, reader, () => attaching(opening, joined, reader, scope))
    )
    return joined
  })

/** Where the position is trimmed already, it was overtaken there. */
const openLapped = ({ openUngated }: LiveLog, from: From): Effect.Effect<LappedReader, OpenReaderError, Scope.Scope> =>
  Effect.map(
    Effect.catchTag(openUngated(from), "PositionTrimmed", () => openUngated("start")),
    (port) => new LappedReader(port, typeof from === "object" ? from.position : undefined)
  )

/** Stays attached while it reads files, so that reports tell how far it has come, and its place is its own. */
const openLagging = (opening: Opening, history: History) =>
  Effect.gen(function*() {
    const { from, live, topic } = opening
    const trimmed = yield* trimmedPosition(opening, history)
    const memory = yield* openLapped(live, trimmed === undefined ? from : { position: trimmed })
    const { end } = yield* live.bounds
    const joined = new JoinedReader(live.waiter, { index: memory.next() }, end, memory)
    const lap = Effect.scoped(Effect.gen(function*() {
      const position = yield* joined.untilLeft
      const reader = yield* openWritten(history, topic.name, position)
      joined.begin(reader.next().index)
      yield* reading(opening, joined, reader, () => resuming(joined, reader, memory))
    }))
    yield* forkReading(opening, joined, Effect.forever(lap))
    return joined
  })

// Memory drops what one replica has; the files that are named may be those of a slower one.
const openWritten = (history: History, topic: string, position: number) =>
  Effect.retry(history.open(topic, position), {
    while: (error) => error._tag === "PositionTrimmed" && error.start <= position,
    schedule: Schedule.upTo(Schedule.spaced(lookMillis), { duration: behindMillis })
  })

const forkReading = (
  { topic }: Opening,
  joined: JoinedReader,
  reading: Effect.Effect<void, OpenReaderError | HistoryUnreadable>
) =>
  Effect.forkScoped(
    Effect.catch(reading, (error) => Effect.sync(() => joined.fail(unreadable(topic.name, error))))
  )

const withoutHistory = (topic: string): Effect.Effect<never, HistoryUnreadable> =>
  Effect.fail(
    new HistoryUnreadable({
      topic,
      position: 0,
      detail: `lag "history" was asked for, and no directory of a replica was given`,
      nextStep: "give the directories of replicas as history"
    })
  )

/** The position to begin at, if memory no longer has it. */
const trimmedPosition = ({ from, live, topic }: Opening, history: History) =>
  Effect.gen(function*() {
    if (from === "end" || topic.order === "none") return undefined
    const bounds = yield* Effect.option(live.bounds)
    // A topic that does not exist has no history: opening it says so, or declares it.
    if (bounds._tag === "None" || bounds.value.start === 0) return undefined
    const { start } = bounds.value
    const position = typeof from === "object" ? from.position : (yield* history.start(topic.name)) ?? start
    return position < start ? position : undefined
  })

/** How long the files may end before memory begins: a replica that writes them is never that late. */
const behindMillis = 30_000
const lookMillis = 20

/** Reads files until `join` has gone on in memory, which it tries where the files have come to. */
const reading = (
  { isDurable, live, topic }: Opening,
  joined: JoinedReader,
  reader: HistoryReader,
  join: () => Effect.Effect<boolean, OpenReaderError | HistoryUnreadable>
): Effect.Effect<void, OpenReaderError | HistoryUnreadable> =>
  Effect.gen(function*() {
    let waitsSince: number | undefined
    let seen: Seen | undefined
    while (true) {
      yield* joined.untilTaken
      const { position } = reader.next()
      seen = yield* boundsBeside(live, position, seen)
      const { durable = 0, end, start } = seen.bounds
      // Not at once where memory begins: publishers wait for a reader there, or leave it behind again.
      if (position >= start + (end - start) / 4 && (yield* join())) return
      const mayRead = !isDurable || position < durable
      const batches = mayRead ? yield* reader.pull : []
      if (batches.length > 0) {
        waitsSince = undefined
        joined.give(batches, end)
        continue
      }
      if (position >= start && (yield* join())) return
      const now = yield* Clock.currentTimeMillis
      waitsSince ??= now
      if (now - waitsSince >= behindMillis) return yield* Effect.fail(ended(topic.name, position, start))
      yield* Effect.sleep(lookMillis)
    }
  })

interface Seen {
  readonly bounds: TopicBounds
  readonly atMillis: number
}

/**
 * The bounds as they were seen last while they tell as much: what is trimmed or durable only rises, and a look at the whole log
 * for each group of the files costs as much as a part of reading it.
 */
const boundsBeside = (live: LiveLog, position: number, seen: Seen | undefined) =>
  Effect.gen(function*() {
    const atMillis = yield* Clock.currentTimeMillis
    const isAhead = seen !== undefined && position < Math.min(seen.bounds.start, seen.bounds.durable ?? Infinity)
    if (seen !== undefined && isAhead && atMillis - seen.atMillis < lookMillis) return seen
    return { bounds: yield* live.bounds, atMillis }
  })

/** Attaches where the files have come to. False when memory has trimmed the position meanwhile. */
const attaching = ({ live, topic }: Opening, joined: JoinedReader, reader: HistoryReader, scope: Scope.Scope) =>
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
      topic: topic.name,
      position,
      detail,
      nextStep: "name the directory of a replica of this log"
    })
  })

/** The same of a reader that is attached. What it polls there begins at that position, or it finds a gap again. */
const resuming = (joined: JoinedReader, reader: HistoryReader, memory: LappedReader) =>
  Effect.sync(() => {
    const { index, position } = reader.next()
    const isKept = memory.resume(index, position)
    if (isKept) joined.join(memory)
    return isKept
  })

const ended = (topic: string, position: number, start: number): HistoryUnreadable =>
  new HistoryUnreadable({
    topic,
    position,
    detail: `the files end there, and memory begins at ${formatCount(start)}`,
    nextStep: "see `ringfence doctor` for the replica that writes them, or name the directory of another"
  })

const unreadable = (topic: string, error: OpenReaderError | HistoryUnreadable): HistoryUnreadable => {
  if (error._tag === "HistoryUnreadable") return error
  if (error._tag !== "PositionTrimmed") {
    return new HistoryUnreadable({ topic, position: 0, detail: error.message, nextStep: "open the subscriber again" })
  }
  const { requested: position, start } = error
  const detail = start > position
    ? `the oldest record in the files is ${
      formatCount(start)
    }, because of their retention or because the replica began there`
    : "the files do not come so far"
  return new HistoryUnreadable({
    topic,
    position,
    detail,
    nextStep: "name the directory of another replica of this log"
  })
}
