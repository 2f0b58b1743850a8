/**
 * Reports each gap and gate once, when it has lasted long enough.
 */
import type { SequencerEvent } from "../../../../services/Sequencer.ts"
import { behindBatches, gapOf } from "../LanePort.ts"
import type { Heap, HeapTopic, Reader, Session } from "../LogState.ts"
import type { SequencerState } from "./SequencerState.ts"

interface Stall {
  /** The session with the gap, or the reader that is the gate. */
  readonly of: Session | Reader
  readonly sinceMicros: number
  readonly event: (sinceMillis: number) => SequencerEvent
}

export class StallEvents {
  readonly #order: SequencerState
  readonly #stallMicros: number
  /** By session or reader: when its last reported stall began. */
  readonly #told = new WeakMap<Session | Reader, number>()

  constructor(order: SequencerState, stallMillis: number) {
    this.#order = order
    this.#stallMicros = stallMillis * 1000
  }

  /** Microseconds until the next stall is to be reported; `undefined` when there is none. */
  nextMicros(): number | undefined {
    const now = this.#order.heap.monotonicMicros()
    const left = this.#untold().map(({ sinceMicros }) => sinceMicros + this.#stallMicros - now)
    return left.length === 0 ? undefined : Math.max(0, Math.min(...left))
  }

  /** The stalls to be reported now. */
  due(): ReadonlyArray<SequencerEvent> {
    const now = this.#order.heap.monotonicMicros()
    const due = this.#untold().filter(({ sinceMicros }) => now - sinceMicros >= this.#stallMicros)
    for (const { of, sinceMicros } of due) this.#told.set(of, sinceMicros)
    return due.map(({ event, sinceMicros }) => event(Math.round((now - sinceMicros) / 1000)))
  }

  #untold(): ReadonlyArray<Stall> {
    const gaps = this.#order.active.flatMap(gapStall)
    const gates = this.#order.heap.topics.flatMap((topic) => gateStall(this.#order.heap, topic))
    return [...gaps, ...gates].filter(({ of, sinceMicros }) => this.#told.get(of) !== sinceMicros)
  }
}

// --- internal ---

const gapStall = (session: Session): ReadonlyArray<Stall> => {
  const { gapSinceMicros, id, topic } = session
  if (gapSinceMicros === undefined) return []
  const event = (sinceMillis: number): SequencerEvent => ({
    _tag: "SessionGap",
    sessionId: id,
    topic: topic.name,
    batch: session.expected,
    broker: gapOf(session)?.broker,
    held: session.held,
    sinceMillis
  })
  return [{ of: session, sinceMicros: gapSinceMicros, event }]
}

const gateStall = (heap: Heap, topic: HeapTopic): ReadonlyArray<Stall> => {
  const { gate, gatingSinceMicros, name } = topic
  if (gate === undefined || gatingSinceMicros === undefined) return []
  const event = (): SequencerEvent => ({
    _tag: "ReaderStalled",
    topic: name,
    reader: gate.name,
    isReplica: gate.replica !== undefined,
    pid: process.pid,
    behindBatches: behindBatches(heap, topic, gate)
  })
  return [{ of: gate, sinceMicros: gatingSinceMicros, event }]
}
