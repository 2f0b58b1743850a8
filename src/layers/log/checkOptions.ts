/**
 * Checks the options of publishers, subscribers and the sequencer before a session is opened or a reader attached.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { millisOf } from "../../services/input/DurationInput.ts"
import { readOptions, refuseUnless, refuseUnlessBytes } from "../../services/input/OptionInvalid.ts"
import type { PublisherOptions } from "../../services/Publisher.ts"
import type { RegionError } from "../../services/schema/RegionError.ts"
import { isName, namesText, type Topic } from "../../services/schema/Topic.ts"
import type { SequencerOptions } from "../../services/Sequencer.ts"
import { defaultFrom, type Lag, type SubscriberOptions } from "../../services/Subscriber.ts"

export const checkPublisherOptions = (
  region: string,
  topic: Topic<any>,
  options: PublisherOptions = {}
): Effect.Effect<void, RegionError> =>
  readOptions(region, () => {
    for (const option of ["openDeadline", "linger", "roomDeadline", "ackDeadline", "skew"] as const) {
      millisOf(option, options[option] ?? 0)
    }
    refuseUnlessBytes("batchBytes", options.batchBytes ?? 1, 1)
    refuseUnlessIdentity(topic, options.identity)
  })

export const checkSubscriberOptions = (
  region: string,
  topic: Topic<any>,
  options: SubscriberOptions = {}
): Effect.Effect<void, RegionError> =>
  readOptions(region, () => {
    const { from = defaultFrom, isolation = "ordered", lag = "gate" } = options
    refuseUnlessCursor(topic, options)
    refuseUnlessLag(topic, lag)
    refuseUnless(isolation === "ordered" || isolation === "durable", "isolation", isolation, `"ordered" or "durable"`)
    refuseUnless(
      isolation === "ordered" || topic.ack === "durable",
      "isolation",
      isolation,
      `"ordered": topic "${topic.name}" has ack "${topic.ack}", and no replicas`
    )
    if (typeof from !== "object") return
    const { position } = from
    refuseUnless(
      topic.order !== "none",
      "from.position",
      position,
      `"start" or "end": topic "${topic.name}" has order "none", and no positions that two subscribers share`
    )
    refuseUnless(
      Number.isSafeInteger(position) && position >= 0,
      "from.position",
      position,
      "a whole number that is not negative"
    )
  })

export const checkBounds = (region: string, topic: Topic<any>): Effect.Effect<void, RegionError> =>
  readOptions(region, () =>
    refuseUnless(
      topic.order !== "none",
      "topic",
      topic.name,
      "a topic with an order: under order \"none\" there are no positions that two subscribers share"
    ))

/** Longer than a process is stopped by accident, shorter than an operator waits for a gap. */
export const defaultLeaseMillis = 30_000

/** Above a second, acknowledgements would take longer than most deadlines. */
export const epochMicrosMax = 1_000_000

/** The times of a sequencer, in its own units. */
export const sequencerTimes = (
  region: string,
  { epochLinger = "500 micros", lease = defaultLeaseMillis, stallAfter = "1 second" }: SequencerOptions & {
    readonly stallAfter?: Duration.Input | undefined
  }
): Effect.Effect<
  { readonly epochMicros: number; readonly leaseMillis: number; readonly stallMillis: number },
  RegionError
> =>
  readOptions(region, () => {
    const epochMicros = Math.round(millisOf("epochLinger", epochLinger) * 1000)
    refuseUnless(epochMicros <= epochMicrosMax, "epochLinger", epochLinger, "at most 1 second")
    const leaseMillis = Math.ceil(millisOf("lease", lease))
    return { epochMicros, leaseMillis, stallMillis: millisOf("stallAfter", stallAfter) }
  })

// --- internal ---

const refuseUnlessLag = (topic: Topic<any>, lag: Lag): void => {
  refuseUnless(lags.has(lag), "lag", JSON.stringify(lag), `"gate", "lapped" or "history"`)
  const ordered =
    `"gate": topic "${topic.name}" has order "none", and its sessions end only once their subscribers have them`
  refuseUnless(lag === "gate" || topic.order !== "none", "lag", JSON.stringify(lag), ordered)
  const durable = `"gate" or "lapped": topic "${topic.name}" has ack "${topic.ack}", and no replicas`
  refuseUnless(lag !== "history" || topic.ack === "durable", "lag", JSON.stringify(lag), durable)
}

const lags = new Set<Lag>(["gate", "lapped", "history"])

const refuseUnlessCursor = (topic: Topic<any>, { cursor, cursorExpiry, takeOver }: SubscriberOptions): void => {
  millisOf("cursorExpiry", cursorExpiry ?? 0)
  if (cursor === undefined) {
    refuseUnless(takeOver !== true, "takeOver", true, "given with a cursor")
    return
  }
  refuseUnless(isName(cursor), "cursor", JSON.stringify(cursor), namesText)
  const topics = `given for a topic with an order: under order "none" there are no positions that two subscribers share`
  refuseUnless(topic.order !== "none", "cursor", JSON.stringify(cursor), topics)
}

// An order that lets a session's records overtake each other has no prefix that a restarted process could continue.
const refuseUnlessIdentity = (topic: Topic<any>, identity: string | undefined): void => {
  if (identity === undefined) return
  refuseUnless(isName(identity), "identity", JSON.stringify(identity), namesText)
  const topics = `given for a topic of order "session" only: topic "${topic.name}" has order "${topic.order}"`
  refuseUnless(topic.order === "session", "identity", JSON.stringify(identity), topics)
}
