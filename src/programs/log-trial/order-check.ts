/**
 * Checks the contract of order `session` at one subscriber: positions are dense, and each session's batches arrive in
 * order, without gaps and duplicates.
 */
import * as Schema from "effect/Schema"
import type { IndexedBatch } from "../../services/Subscriber.ts"

export const SessionCheck = Schema.Struct({
  sessionId: Schema.Int,
  records: Schema.Int,
  bytes: Schema.Int,
  /** Batches that arrived after a later batch of their session. */
  disordered: Schema.Int,
  duplicates: Schema.Int,
  /** Batches that never arrived although a later batch of their session did. */
  missing: Schema.Int
})
export type SessionCheck = typeof SessionCheck.Type

interface SessionState {
  records: number
  bytes: number
  nextBatch: number
  nextMessage: number
  disordered: number
  duplicates: number
  readonly missing: Set<number>
}

export class OrderCheck {
  records = 0
  bytes = 0
  batches = 0
  /** Batches whose first position does not follow the previous batch. */
  sparse = 0
  #position = 0
  readonly #sessions = new Map<number, SessionState>()

  /** True if the batch is the next of its session. */
  see(batch: IndexedBatch): boolean {
    if (batch.position !== this.#position) this.sparse += 1
    this.#position = batch.position + batch.messageCount
    this.batches += 1
    this.records += batch.messageCount
    this.bytes += batch.payload.length
    return seeOfSession(this.#sessionOf(batch.sessionId), batch)
  }

  sessions(): ReadonlyArray<SessionCheck> {
    return [...this.#sessions].map(([sessionId, session]) => ({
      sessionId,
      records: session.records,
      bytes: session.bytes,
      disordered: session.disordered,
      duplicates: session.duplicates,
      missing: session.missing.size
    }))
  }

  #sessionOf(sessionId: number): SessionState {
    const known = this.#sessions.get(sessionId)
    if (known !== undefined) return known
    const session = {
      records: 0,
      bytes: 0,
      nextBatch: 0,
      nextMessage: 0,
      disordered: 0,
      duplicates: 0,
      missing: new Set<number>()
    }
    this.#sessions.set(sessionId, session)
    return session
  }
}

// --- internal ---

const seeOfSession = (session: SessionState, batch: IndexedBatch): boolean => {
  const sequence = batch.batchSequence
  session.records += batch.messageCount
  session.bytes += batch.payload.length
  if (sequence < session.nextBatch) {
    if (session.missing.delete(sequence)) session.disordered += 1
    else session.duplicates += 1
    return false
  }
  for (let skipped = session.nextBatch; skipped < sequence; skipped += 1) session.missing.add(skipped)
  const next = sequence === session.nextBatch && batch.firstMessage === session.nextMessage
  if (sequence === session.nextBatch && !next) session.disordered += 1
  session.nextBatch = sequence + 1
  session.nextMessage = batch.firstMessage + batch.messageCount
  return next
}
