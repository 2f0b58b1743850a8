/**
 * Random histories, run over two backends side by side: they agree on all visible state, and each keeps the contract of
 * the log.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as fc from "fast-check"
import type { IndexPort } from "../../../src/layers/ports/IndexPort.ts"
import type { LanePort } from "../../../src/layers/ports/LanePort.ts"
import type { SessionState } from "../../../src/services/Diagnostics.ts"
import * as Topic from "../../../src/services/schema/Topic.ts"
import type { From, IndexedBatch } from "../../../src/services/Subscriber.ts"
import { smallestLog } from "../../backends/geometry.ts"
import { type ManualLog, type Part, writeBatch } from "../../faults/manual.ts"

export const topics = [
  Topic.make("by-session"),
  Topic.make("total", { order: "total" }),
  Topic.make("none", { order: "none" })
] as const

export const geometry = { ...smallestLog, brokers: 3, clients: 2, topics: 3, readers: 2 }

/** The next action of a client, a reader or the sequencer. Indexes are taken modulo the number of candidates. */
export type Command =
  | { readonly do: "open"; readonly topic: number }
  | {
    readonly do: "write"
    readonly session: number
    readonly broker: number
    /** The batch's place in the session's sequence: next, written before, or ahead of others still to come. */
    readonly which: "next" | "again" | "ahead" | "missing"
    readonly lengths: ReadonlyArray<number>
  }
  | { readonly do: "publish"; readonly session: number; readonly broker: number }
  | { readonly do: "step" }
  | { readonly do: "close"; readonly session: number }
  | { readonly do: "attach"; readonly topic: number; readonly from: "start" | "end" | number }
  | { readonly do: "poll"; readonly reader: number; readonly max: number }
  | { readonly do: "release"; readonly reader: number; readonly keep: number }
  | { readonly do: "detach"; readonly reader: number }

const index = fc.nat({ max: 2 })
const lengths = fc.oneof(
  fc.array(fc.nat({ max: 60 }), { minLength: 1, maxLength: 5 }),
  fc.constantFrom([1000], [2000, 2000], [4096], [1, 2, 3])
)

export const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant("open" as const), topic: index }) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant("write" as const),
      session: index,
      broker: index,
      which: fc.oneof(
        { weight: 8, arbitrary: fc.constant("next" as const) },
        { weight: 2, arbitrary: fc.constant("missing" as const) },
        { weight: 1, arbitrary: fc.constantFrom("again" as const, "ahead" as const) }
      ),
      lengths
    })
  },
  { weight: 10, arbitrary: fc.record({ do: fc.constant("publish" as const), session: index, broker: index }) },
  { weight: 8, arbitrary: fc.constant({ do: "step" as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("close" as const), session: index }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("attach" as const),
      topic: index,
      from: fc.oneof(fc.constantFrom("start" as const, "end" as const), fc.nat({ max: 40 }))
    })
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("poll" as const), reader: index, max: fc.integer({ min: 1, max: 9 }) })
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("release" as const), reader: index, keep: fc.nat({ max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("detach" as const), reader: index }) }
)

/** Plays the commands and returns, for each, the state visible afterwards. */
export const history = (commands: ReadonlyArray<Command>) => (log: ManualLog) =>
  Effect.gen(function*() {
    const player = new Player(log)
    const seen: Array<{
      readonly command: Command
      readonly result: unknown
      readonly state: State
      readonly counted: ReadonlyArray<ReturnType<typeof describeCounted>>
    }> = []
    for (const command of commands) {
      const result = yield* Effect.exit(player.play(command))
      seen.push({
        command,
        result: Exit.isSuccess(result) ? result.value : describeFailure(result),
        state: player.state(),
        counted: (yield* log.snapshot).sessions.map(describeCounted)
      })
    }
    yield* player.finish
    return { seen, final: player.state(), streams: player.streams(), lanes: player.lanes() }
  })

// --- internal ---

const describeFailure = (exit: Exit.Failure<unknown, any>): unknown =>
  exit.cause.reasons.map((reason) =>
    reason._tag === "Fail"
      ? {
        tag: reason.error._tag,
        fault: reason.error.fault,
        start: reason.error.start
      }
      : String("defect" in reason ? reason.defect : reason._tag)
  )

/** What the diagnostics count of a session. */
const describeCounted = ({ duplicates, held, heldTotal, purged, sessionId, state }: SessionState) => ({
  sessionId,
  state,
  held,
  heldTotal,
  duplicates,
  purged
})

interface Session {
  readonly lanes: LanePort
  /** By broker: the sequences of the batches that were written, in the lane's order. */
  readonly written: ReadonlyArray<Array<number>>
  readonly close: Effect.Effect<void>
  readonly topic: string
  closed: boolean
  last: ReturnType<typeof describeSession> | undefined
  next: number
  firstMessages: Array<number>
  messages: number
  missing: Array<{ readonly sequence: number; readonly firstMessage: number; readonly lengths: ReadonlyArray<number> }>
}

const describeSession = (lanes: LanePort) => ({
  id: lanes.sessionId,
  committed: [lanes.committedBatches(), lanes.committedMessages()],
  ended: lanes.ended(),
  heldBehind: lanes.gap()?.heldBehind,
  lanes: Array.from({ length: geometry.brokers }, (_, b) => ({ inFlight: lanes.inFlight(b), ...lanes.frontiers(b) }))
})

const describeEnded = (lanes: LanePort) => lanes.ended() === undefined ? undefined : describeSession(lanes)

interface Reader {
  readonly port: IndexPort
  readonly close: Effect.Effect<void>
  readonly topic: string
  readonly batches: Array<ReturnType<typeof describeBatch>>
}

const describeBatch = (batch: IndexedBatch) => ({
  index: batch.index,
  position: batch.position,
  messageCount: batch.messageCount,
  sessionId: batch.sessionId,
  batchSequence: batch.batchSequence,
  firstMessage: batch.firstMessage,
  broker: batch.broker,
  lengths: batch.lengths === undefined
    ? Array.from({ length: batch.messageCount }, () => batch.uniformBytes)
    : [...batch.lengths],
  bytes: batch.payload.length,
  first: batch.payload[0],
  last: batch.payload.at(-1)
})

class Player {
  readonly #log: ManualLog
  readonly #sessions: Array<Session> = []
  readonly #readers: Array<Reader> = []
  readonly #gone: Array<Reader> = []

  constructor(log: ManualLog) {
    this.#log = log
  }

  play(command: Command) {
    return Effect.suspend((): Effect.Effect<unknown, any, any> => {
      switch (command.do) {
        case "open":
          return this.#open(command.topic)
        case "attach":
          return this.#attach(command.topic, command.from)
        case "step":
          return this.#log.step
        case "close":
        case "write":
        case "publish": {
          const session = this.#sessions[command.session % Math.max(1, this.#sessions.length)]
          return session === undefined ? Effect.void : this.#client(session, command)
        }
        default: {
          const reader = this.#readers[command.reader % Math.max(1, this.#readers.length)]
          return reader === undefined ? Effect.void : this.#subscriber(reader, command)
        }
      }
    })
  }

  /** The visible state of every session and every reader. */
  state() {
    return {
      // Observe an ended session only once more: afterwards its lanes may belong to another.
      sessions: this.#sessions.map((session) => session.last ??= describeEnded(session.lanes))
        .map((ended, i) => ended ?? describeSession((this.#sessions[i] as Session).lanes)),
      readers: this.#readers.map(({ port }) => ({
        next: port.next(),
        committed: [port.committed(), port.committedMessages()]
      }))
    }
  }

  streams() {
    return [...this.#gone, ...this.#readers].map(({ batches, topic }) => ({ topic, batches }))
  }

  /** What was written in each lane, by session and broker. */
  lanes() {
    return this.#sessions.map(({ lanes, written }) => ({ sessionId: lanes.sessionId, written }))
  }

  /** Lets all published batches be ordered and read. */
  readonly finish = Effect.suspend(() => {
    const log = this.#log
    const readers = this.#readers
    return Effect.gen(function*() {
      for (let i = 0; i < 200; i += 1) {
        const moved = yield* log.step
        let read = 0
        for (const reader of readers) {
          const batches = reader.port.poll(64)
          read += batches.length
          reader.batches.push(...batches.map(describeBatch))
          reader.port.release(reader.port.next())
        }
        if (!moved && read === 0) return
      }
    })
  })

  #open(topic: number) {
    const chosen = topics[topic % topics.length] ?? topics[0]
    return Effect.map(this.#log.open(chosen), ({ close, port }: Part<LanePort>) => {
      const written = Array.from({ length: geometry.brokers }, () => [])
      const fresh = { written, closed: false, last: undefined, next: 0, messages: 0, firstMessages: [], missing: [] }
      this.#sessions.push({ lanes: port, close, topic: chosen.name, ...fresh })
      return port.sessionId
    })
  }

  #attach(topic: number, from: "start" | "end" | number) {
    const chosen = topics[topic % topics.length] ?? topics[0]
    // A topic without an order has no positions.
    const begin: From = typeof from !== "number" ? from : chosen.order === "none" ? "start" : { position: from }
    return Effect.map(this.#log.attach(chosen, begin), ({ close, port }: Part<IndexPort>) => {
      this.#readers.push({ port, close, topic: chosen.name, batches: [] })
      return port.next()
    })
  }

  #client(session: Session, command: Command & { readonly do: "close" | "write" | "publish" }) {
    if (command.do === "close") {
      // Keep observing it: its end is compared too.
      session.closed = true
      return session.close
    }
    if (session.closed) return Effect.succeed("closed")
    const broker = command.broker % geometry.brokers
    if (command.do === "publish") return Effect.sync(() => session.lanes.publish(broker))
    return Effect.sync(() => this.#write(session, broker, command))
  }

  /** Writes the batch, and notes it as the lane's next if there was room. */
  #writeBatch(session: Session, broker: number, batch: Parameters<typeof writeBatch>[2]): boolean {
    const written = writeBatch(session.lanes, broker, batch)
    if (written) session.written[broker]?.push(batch.sequence)
    return written
  }

  #write(session: Session, broker: number, { lengths, which }: Command & { readonly do: "write" }): unknown {
    if (session.lanes.ended() !== undefined) return "ended"
    if (which === "again") {
      if (session.next === 0) return "nothing to repeat"
      const sequence = session.next - 1
      return this.#writeBatch(session, broker, {
        sequence,
        firstMessage: session.firstMessages[sequence] ?? 0,
        lengths
      })
    }
    if (which === "missing") {
      const late = session.missing[0]
      if (late === undefined) return "nothing is missing"
      const written = this.#writeBatch(session, broker, late)
      if (written) session.missing.shift()
      return written
    }
    const batch = { sequence: session.next, firstMessage: session.messages, lengths }
    const passedOver = which === "ahead" && session.missing.length < 3
    const written = passedOver || this.#writeBatch(session, broker, batch)
    if (passedOver) session.missing.push(batch)
    if (!written) return false
    session.firstMessages[batch.sequence] = batch.firstMessage
    session.next += 1
    session.messages += lengths.length
    return passedOver ? "later" : true
  }

  #subscriber(reader: Reader, command: Command & { readonly do: "poll" | "release" | "detach" }) {
    switch (command.do) {
      case "poll":
        return Effect.sync(() => {
          const batches = reader.port.poll(command.max).map(describeBatch)
          reader.batches.push(...batches)
          return batches
        })
      case "release":
        return Effect.sync(() => reader.port.release(reader.port.next() - command.keep))
      case "detach":
        return Effect.map(reader.close, () => {
          this.#readers.splice(this.#readers.indexOf(reader), 1)
          this.#gone.push(reader)
        })
    }
  }
}

type History = Effect.Success<ReturnType<ReturnType<typeof history>>>

/** How a history breaks the log's contract, or `undefined`. */
export const brokenPromise = ({ lanes, seen, streams }: History): string | undefined =>
  streams.map(brokenOrder).find((broken) => broken !== undefined)
    ?? brokenAgreement(streams)
    ?? brokenLanes(streams, lanes)
    ?? brokenAcknowledgement(seen.map(({ state }) => state))
    ?? brokenEnd(seen.at(-1)?.state, streams)

type Streams = History["streams"]
type State = ReturnType<Player["state"]>

const isBySession = (topic: string): boolean => topic === topics[0].name
const isUnordered = (topic: string): boolean => topic === topics[2].name

// Checks that the order is dense, and first-in-first-out for each session without gap or repetition.
const brokenOrder = ({ batches, topic }: Streams[number]): string | undefined => {
  const bySession = new Map<number, number>()
  let last: { readonly index: number; readonly end: number } | undefined
  for (const { batchSequence, index, messageCount, position, sessionId } of batches) {
    if (last !== undefined && (index !== last.index + 1 || position !== last.end)) {
      return `${topic}: index ${index} at ${position} follows ${last.index}, which ends at ${last.end}`
    }
    last = { index, end: position + messageCount }
    const before = bySession.get(sessionId)
    if (isBySession(topic) && before !== undefined && batchSequence !== before + 1) {
      return `${topic}: session ${sessionId}: batch ${batchSequence} follows ${before}`
    }
    bySession.set(sessionId, batchSequence)
  }
  return undefined
}

// Checks that a reader of a topic without an order takes a stretch of each lane, whole and as it was written.
const brokenLanes = (streams: Streams, lanes: History["lanes"]): string | undefined => {
  for (const { batches, topic } of streams) {
    if (!isUnordered(topic)) continue
    for (const { sessionId, written } of lanes) {
      for (const [broker, sequences] of written.entries()) {
        const taken = batches.filter((batch) => batch.sessionId === sessionId && batch.broker === broker)
          .map(({ batchSequence }) => batchSequence)
        if (!sequences.some((_, from) => taken.every((sequence, i) => sequence === sequences[from + i]))) {
          if (taken.length > 0) return `session ${sessionId}, broker ${broker}: took ${taken} of ${sequences}`
        }
      }
    }
  }
  return undefined
}

// Checks that the order is the same for every reader.
const brokenAgreement = (streams: Streams): string | undefined => {
  const orders = new Map<string, string>()
  for (const { batches, topic } of streams) {
    if (isUnordered(topic)) continue
    for (const batch of batches) {
      const place = `${topic} at ${batch.index}`
      const known = orders.get(place)
      const here = JSON.stringify(batch)
      if (known !== undefined && known !== here) return `two readers differ: ${place}`
      orders.set(place, here)
    }
  }
  return undefined
}

// Checks that acknowledged batches are committed, and never taken back.
const brokenAcknowledgement = (states: ReadonlyArray<State>): string | undefined => {
  const highest = new Map<number, number>()
  for (const { sessions } of states) {
    for (const { committed: [, messages = 0], id, lanes } of sessions) {
      if (messages < (highest.get(id) ?? 0)) return `session ${id}: an acknowledgement was taken back`
      highest.set(id, messages)
      const ordered = lanes.reduce((sum, lane) => sum + lane.orderedMessages, 0)
      if (messages > ordered) return `session ${id}: ${messages} acknowledged, ${ordered} committed`
    }
  }
  return undefined
}

// Checks that no batch of a session above its end is ever committed.
const brokenEnd = (state: State | undefined, streams: Streams): string | undefined => {
  const ends = new Map(
    (state?.sessions ?? []).filter(({ ended }) => ended !== undefined)
      .map(({ committed: [batches = 0], id }) => [id, batches])
  )
  for (const { batches, topic } of streams) {
    const ghost = batches.find(({ batchSequence, sessionId }) => batchSequence >= (ends.get(sessionId) ?? Infinity))
    if (ghost !== undefined && isBySession(topic)) {
      return `session ${ghost.sessionId}: ${ghost.batchSequence} after its end`
    }
  }
  return undefined
}
