/**
 * Turns the sequencer's reports into events by comparing each report with the previous one.
 */
import type { NativeGate, NativeSessionReport, RegionHandle, SequencerHandle } from "../../../native/binding.ts"
import { processIdOf } from "../../../services/schema/ProcessId.ts"
import type { Order } from "../../../services/schema/Topic.ts"
import type { SequencerEvent } from "../../../services/Sequencer.ts"
import { sessionEndOf } from "./LanePort.ts"
import { orderNameOf } from "./Topics.ts"

export class SequencerEvents {
  readonly #region: RegionHandle
  readonly #sequencer: SequencerHandle
  readonly #stallNanos: number
  /** The sessions of the last report, by id: whether they had ended. One that left the report never comes back. */
  #sessions = new Map<number, boolean>()
  /** When each gate and gap began that was told, as long as it is reported. */
  #told = new Map<string, number>()

  constructor(region: RegionHandle, sequencer: SequencerHandle, stallMillis: number) {
    this.#region = region
    this.#sequencer = sequencer
    this.#stallNanos = stallMillis * 1e6
  }

  /** Ends the sessions and readers of dead processes, and returns the events since the last call. */
  look(): ReadonlyArray<SequencerEvent> {
    const events: Array<SequencerEvent> = []
    for (const dead of this.#sequencer.endDead()) {
      events.push({ _tag: "ReaderEnded", topic: dead.topic, reader: dead.name, ...processIdOf(dead) })
    }
    const nowNanos = Number(process.hrtime.bigint())
    const sessions = this.#sequencer.sessions()
    const gates = this.#sequencer.gates()
    for (const session of sessions) this.#session(session, nowNanos, events)
    for (const gate of gates) this.#gate(gate, nowNanos, events)
    this.#forget(sessions, gates)
    return events
  }

  /** How many sessions, gaps and gates it remembers: no more than were in the last report. */
  get remembered(): number {
    return this.#sessions.size + this.#told.size
  }

  // Sessions and readers come and go as long as the server runs.
  #forget(sessions: ReadonlyArray<NativeSessionReport>, gates: ReadonlyArray<NativeGate>): void {
    this.#sessions = new Map(sessions.map(({ ended, sessionId }) => [sessionId, ended]))
    const stalls = [...sessions.filter(({ ended }) => !ended).map(gapOf), ...gates.map(gateOf)]
    this.#told = new Map(stalls.flatMap((stall) => {
      const since = this.#told.get(stall)
      return since === undefined ? [] : [[stall, since]]
    }))
  }

  #session(session: NativeSessionReport, nowNanos: number, events: Array<SequencerEvent>): void {
    const { sessionId, topic } = session
    const hadEnded = this.#sessions.get(sessionId)
    if (hadEnded === undefined) {
      events.push({ _tag: "SessionOpened", sessionId, topic, ...this.#identityOf(sessionId), ...processIdOf(session) })
    }
    if (session.ended) {
      if (hadEnded === true) return
      const { batches, messages, purged } = session
      const order = orderOf(session.order)
      const reason = sessionEndOf(session.endReason) ?? "closed"
      const committed = { committedBatches: batches, committedMessages: messages, purgedBatches: purged }
      events.push({ _tag: "SessionEnded", sessionId, topic, order, reason, ...committed })
      return
    }
    if (!this.#lasts(gapOf(session), session.gapSinceNanos, nowNanos)) return
    const sinceMillis = Math.round((nowNanos - session.gapSinceNanos) / 1e6)
    const broker = this.#brokerOfGap(sessionId)
    events.push({
      _tag: "SessionGap",
      sessionId,
      topic,
      batch: session.batches,
      broker,
      held: session.held,
      sinceMillis
    })
  }

  #gate(gate: NativeGate, nowNanos: number, events: Array<SequencerEvent>): void {
    if (!this.#lasts(gateOf(gate), gate.sinceNanos, nowNanos)) return
    const { behind: behindBatches, name: reader, topic } = gate
    events.push({
      _tag: "ReaderStalled",
      topic,
      reader,
      ...processIdOf(gate),
      isReplica: this.#isReplica(gate),
      behindBatches
    })
  }

  /** True once for each stall that has lasted long enough. */
  #lasts(what: string, sinceNanos: number, nowNanos: number): boolean {
    if (sinceNanos === 0 || nowNanos - sinceNanos < this.#stallNanos) return false
    if (this.#told.get(what) === sinceNanos) return false
    this.#told.set(what, sinceNanos)
    return true
  }

  #identityOf(sessionId: number): { readonly identity?: string; readonly incarnation?: number } {
    const found = this.#region.snapshot().identities.find((identity) => identity.sessionId === sessionId)
    return found === undefined ? {} : { identity: found.name, incarnation: found.incarnation }
  }

  #isReplica({ reader, topic }: NativeGate): boolean {
    const found = this.#region.snapshot().topics.find(({ name }) => name === topic)
    return found?.readers.some((one) => one.reader === reader && one.replica > 0) === true
  }

  #brokerOfGap(sessionId: number): number | undefined {
    const { sessions } = this.#region.snapshot()
    const broker = sessions.find((session) => session.sessionId === sessionId)?.gapBroker ?? -1
    return broker < 0 ? undefined : broker
  }
}

// --- internal ---

const gapOf = ({ sessionId }: NativeSessionReport): string => `gap ${sessionId}`

const gateOf = ({ reader, topic }: NativeGate): string => `gate ${topic}/${reader}`

// The orders of a region's topics are those of its layout's version.
const orderOf = (level: number): Order => orderNameOf(level) as Order
