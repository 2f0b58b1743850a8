/**
 * The checks of a log trial: the contract of order `session`, complete and without a duplicate.
 */
import { type Check, check } from "../cli/checks.ts"
import { formatCount, plural } from "../cli/units.ts"
import * as Histogram from "../measure/histogram.ts"
import type { Percentiles } from "../measure/latency.ts"
import type { PublishedCounts, SeenCounts } from "./counts.ts"
import type { LogOutcome } from "./run.ts"

export type Outcome = LogOutcome<PublishedCounts, SeenCounts>

/** The amount to be carried. */
export interface Amount {
  readonly records: number
  readonly bytes: number
}

export const checksOf = (amount: Amount, outcome: Outcome): ReadonlyArray<Check> => [
  everythingAcknowledged(amount, outcome),
  everythingDelivered(amount, outcome),
  nothingTwice(outcome),
  positionsDense(outcome),
  sessionsInOrder(outcome)
]

export interface Figures {
  readonly records: number
  readonly bytes: number
  readonly seconds: number
  /** Decimal gigabytes, from the first offer to the last acknowledgement. */
  readonly acknowledgedGigabytesPerSecond: number
  /** Decimal gigabytes, from the first offer to the last record at the last subscriber. */
  readonly deliveredGigabytesPerSecond: number
  readonly ackLatencyMicros: Percentiles
  readonly laneFullEvents: number
  /** Batches that arrived before an earlier batch of their session: in total, and the most at one time. */
  readonly held: number
  readonly heldAtOnce: number
  readonly drops: number
  readonly duplicates: number
  readonly brokers: ReadonlyArray<BrokerRow>
}

export interface BrokerRow {
  readonly broker: number
  readonly batches: number
  readonly records: number
  readonly acknowledged: number
  readonly fullEvents: number
}

export const figuresOf = (amount: Amount, outcome: Outcome): Figures => {
  const { heldPeak, publishers, snapshot, subscribers } = outcome
  const began = Math.min(...publishers.map(({ result }) => result.firstOfferMillis))
  const acknowledged = Math.max(...publishers.map(({ result }) => result.lastAckMillis))
  const delivered = Math.max(...subscribers.map(({ result }) => result.lastMillis))
  return {
    ...amount,
    seconds: (Math.max(acknowledged, delivered) - began) / 1000,
    acknowledgedGigabytesPerSecond: amount.bytes / 1e6 / (acknowledged - began),
    deliveredGigabytesPerSecond: amount.bytes / 1e6 / (delivered - began),
    ackLatencyMicros: Histogram.merged(publishers.map(({ result }) => result.latency)).percentiles(),
    laneFullEvents: sum(publishers, ({ result }) => result.fullEvents),
    held: sum(snapshot.sessions, ({ heldTotal }) => heldTotal),
    heldAtOnce: heldPeak,
    drops: dropsOf(amount, outcome),
    duplicates: duplicatesOf(outcome),
    brokers: snapshot.brokers.map(({ broker, frontiers, fullEvents }) => ({
      broker,
      batches: frontiers.ordered,
      records: frontiers.orderedMessages,
      acknowledged: frontiers.acknowledgedMessages,
      fullEvents
    }))
  }
}

// --- internal ---

const sum = <A>(values: ReadonlyArray<A>, f: (value: A) => number): number =>
  values.reduce((total, value) => total + f(value), 0)

const dropsOf = ({ records }: Amount, { subscribers }: Outcome): number =>
  Math.max(0, ...subscribers.map(({ result }) => records - result.records))

const duplicatesOf = ({ duplicates, subscribers }: Outcome): number =>
  duplicates + Math.max(0, ...subscribers.map(({ result }) => sum(result.sessions, (at) => at.duplicates)))

const everythingAcknowledged = ({ records }: Amount, { publishers, snapshot }: Outcome): Check => {
  const acknowledged = sum(publishers, ({ result }) => result.acknowledged)
  const committed = sum(snapshot.topics, ({ committedMessages }) => committedMessages)
  return check(
    "everything is acknowledged",
    acknowledged === records && committed === records,
    `${formatCount(acknowledged)} of ${formatCount(records)} records acknowledged, ${formatCount(committed)} committed`
  )
}

const everythingDelivered = (amount: Amount, outcome: Outcome): Check => {
  const { subscribers } = outcome
  const whole = subscribers.every(({ result }) => result.records === amount.records && result.bytes === amount.bytes)
  const drops = plural(dropsOf(amount, outcome), "drop")
  return check("everything is delivered", whole, `${drops} at ${plural(subscribers.length, "subscriber")}`)
}

const nothingTwice = (outcome: Outcome): Check => {
  const duplicates = duplicatesOf(outcome)
  return check("no record arrives twice", duplicates === 0, plural(duplicates, "duplicate"))
}

const positionsDense = ({ subscribers }: Outcome): Check => {
  const sparse = sum(subscribers, ({ result }) => result.sparse)
  return check("positions are dense", sparse === 0, `${plural(sparse, "gap")} between batches`)
}

const sessionsInOrder = ({ subscribers }: Outcome): Check => {
  const sessions = subscribers.flatMap(({ result }) => result.sessions)
  const disordered = sum(sessions, (session) => session.disordered)
  const missing = sum(sessions, (session) => session.missing)
  const batches = formatCount(sum(subscribers, ({ result }) => result.batches))
  return check(
    "each session arrives in order",
    disordered === 0 && missing === 0,
    `${formatCount(disordered)} of ${batches} batches out of order, ${formatCount(missing)} missing`
  )
}
