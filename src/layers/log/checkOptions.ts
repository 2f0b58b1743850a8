/**
 * Checks the options of publishers, subscribers and the sequencer before a session is opened or a reader attached.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { millisOf } from "../../services/input/DurationInput.ts"
import { readOptions, refuseUnless, refuseUnlessBytes } from "../../services/input/OptionInvalid.ts"
import type { PublisherOptions } from "../../services/Publisher.ts"
import type { RegionError } from "../../services/schema/RegionError.ts"
import type { Topic } from "../../services/schema/Topic.ts"
import type { SequencerOptions } from "../../services/Sequencer.ts"
import { defaultFrom, type SubscriberOptions } from "../../services/Subscriber.ts"

export const checkPublisherOptions = (
  region: string,
  options: PublisherOptions = {}
): Effect.Effect<void, RegionError> =>
  readOptions(region, () => {
    for (const option of ["openDeadline", "linger", "roomDeadline", "ackDeadline", "skew"] as const) {
      millisOf(option, options[option] ?? 0)
    }
    refuseUnlessBytes("batchBytes", options.batchBytes ?? 1, 1)
  })

export const checkSubscriberOptions = (
  region: string,
  topic: Topic<any>,
  { from = defaultFrom }: SubscriberOptions = {}
): Effect.Effect<void, RegionError> =>
  readOptions(region, () => {
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

/** Above a second, acknowledgements would take longer than most deadlines. */
export const epochMicrosMax = 1_000_000

/** The times of a sequencer, in its own units. */
export const sequencerTimes = (
  region: string,
  { epochLinger = "500 micros", stallAfter = "1 second" }: SequencerOptions & {
    readonly stallAfter?: Duration.Input | undefined
  }
): Effect.Effect<{ readonly epochMicros: number; readonly stallMillis: number }, RegionError> =>
  readOptions(region, () => {
    const epochMicros = Math.round(millisOf("epochLinger", epochLinger) * 1000)
    refuseUnless(epochMicros <= epochMicrosMax, "epochLinger", epochLinger, "at most 1 second")
    return { epochMicros, stallMillis: millisOf("stallAfter", stallAfter) }
  })
