/**
 * Acknowledgements: how much of each session is committed, by the brokers that carried it, and the batch that is missing.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import { formatCount } from "./text/quantities.ts"

export interface SessionAcks {
  readonly sessionId: number
  readonly topic: string
  readonly published: number
  /**
   * Messages acknowledged: the committed prefix of the session, never a broker's frontier. Under ack `durable` only the
   * session's own publisher knows how much of that prefix is durable: for others this is all of it.
   */
  readonly acknowledged: number
  /** What is committed, by the broker that carried it. */
  readonly byBroker: ReadonlyArray<number>
  /** The batch that keeps the prefix from growing, while there is one. */
  readonly waitingOn:
    | { readonly broker: number | undefined; readonly batch: number; readonly heldBehind: number }
    | undefined
}

/**
 * The acknowledgements of every session of the region, read off the sessions' own lines.
 *
 * @example
 * ```ts
 * import { AckTracker, waitingLine } from "ringfence"
 * import * as Effect from "effect/Effect"
 *
 * const report = AckTracker.use(({ sessions }) =>
 *   Effect.flatMap(sessions, (all) => Effect.forEach(all, (session) => Effect.log(waitingLine(session))))
 * )
 * ```
 */
export class AckTracker extends Context.Service<AckTracker, {
  readonly sessions: Effect.Effect<ReadonlyArray<SessionAcks>>
}>()("ringfence/AckTracker") {}

/**
 * One line with a session's progress and what it waits for: `acks: B0=986,828 B1=986,828 B2=986,828 B3=0 |
 * 2,960,484/10,485,760, waiting on B3 (batch 0, held 3 behind it)`.
 */
export const waitingLine = (acks: SessionAcks): string => {
  const brokers = acks.byBroker.map((messages, broker) => `B${broker}=${formatCount(messages)}`).join(" ")
  const line = `acks: ${brokers} | ${formatCount(acks.acknowledged)}/${formatCount(acks.published)}`
  const waiting = acks.waitingOn
  if (waiting === undefined) return line
  const where = waiting.broker === undefined ? "its client" : `B${waiting.broker}`
  return `${line}, waiting on ${where} (batch ${waiting.batch}, held ${formatCount(waiting.heldBehind)} behind it)`
}
