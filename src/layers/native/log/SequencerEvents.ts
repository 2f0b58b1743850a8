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
  readonly #opened = new Set<number>()
  readonly #ended = new Set<number>()
  /** When each reported gate and gap began. */
  readonly #told = new Map<string, number>()

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
    for (const session of this.#sequencer.sessions()) this.#session(session, nowNanos, events)
    for (const gate of this.#sequencer.gates()) this.#gate(gate, nowNanos, events)
    return events
  }

  #session(session: NativeSessionReport, nowNanos: number, events: Array<SequencerEvent>): void {
    const { sessionId, topic } = session
    if (!this.#opened.has(sessionId)) {
      this.#opened.add(sessionId)
      events.push({ _tag: "SessionOpened", sessionId, topic, ...this.#identityOf(sessionId), ...processIdOf(session) })
    }
    if (session.ended) {
      if (this.#ended.has(sessionId)) return
      this.#ended.add(sessionId)
      const { batches, messages, purged } = session
      const order = orderOf(session.order)
      const reason = sessionEndOf(session.endReason) ?? "closed"
      const committed = { committedBatches: batches, committedMessages: messages, purgedBatches: purged }
      events.push({ _tag: "SessionEnded", sessionId, topic, order, reason, ...committed })
      return
    }
    if (!this.#lasts(`gap ${sessionId}`, session.gapSinceNanos, nowNanos)) return
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
    if (!this.#lasts(`gate ${gate.topic}/${gate.reader}`, gate.sinceNanos, nowNanos)) return
    const { behind: behindBatches, name: reader, topic } = gate
    events.push({ _tag: "ReaderStalled", topic, reader, ...processIdOf(gate), behindBatches })
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

  #brokerOfGap(sessionId: number): number | undefined {
    const { sessions } = this.#region.snapshot()
    const broker = sessions.find((session) => session.sessionId === sessionId)?.gapBroker ?? -1
    return broker < 0 ? undefined : broker
  }
}

// --- internal ---

// The orders of a region's topics are those of its layout's version.
const orderOf = (level: number): Order => orderNameOf(level) as Order
