/**
 * Topics of a region: found or declared, and never opened as something else than what they are.
 */
import * as Effect from "effect/Effect"
import { type NativeTopic, orderLevel } from "../../../native/binding.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import { type Topic, type TopicError, TopicMismatch, TopicUnknown, validate } from "../../../services/schema/Topic.ts"
import { claiming, whenFull } from "../region/Claiming.ts"
import { attempt } from "../region/NativeError.ts"
import type { NativeRegion } from "../region/NativeRegion.ts"

type Region = NativeRegion["Service"]

/** The topic's place in the region. It is declared when it is not there, unless `mustExist`. */
export const openTopic = (
  region: Region,
  topic: Topic<any>,
  mustExist: boolean
): Effect.Effect<NativeTopic, TopicError | RegionError> =>
  Effect.gen(function*() {
    yield* validate(topic)
    const known = yield* attempt(region.info.name, () => region.native.topics(region.handle))
    const there = known.find(({ name }) => name === topic.name)
    if (there === undefined && mustExist) {
      return yield* new TopicUnknown({ topic: topic.name, known: known.map(({ name }) => name) })
    }
    const found = there ?? (yield* declare(region, topic))
    const wanted = describe(topic.order, topic.ack)
    const actual = describe(orderNameOf(found.order), ackNameOf(found.ack))
    if (wanted !== actual) return yield* new TopicMismatch({ topic: topic.name, wanted, found: actual })
    return found
  })

/** A level that this version does not know is called by its number, and so is no topic's that is opened here. */
export const orderNameOf = (level: number): string => orderNames.get(level) ?? `level ${level}`

export const ackNameOf = (level: number): string => ackNames.get(level) ?? `level ${level}`

// --- internal ---

const ackLevel = { none: 0, ordered: 1 } as const
const orderNames = new Map(Object.entries(orderLevel).map(([name, level]) => [level as number, name]))
const ackNames = new Map(Object.entries(ackLevel).map(([name, level]) => [level as number, name]))
const describe = (order: string, ack: string): string => `order "${order}", ack "${ack}"`

const declare = (region: Region, topic: Topic<any>) =>
  claiming(region, () =>
    region.native.declareTopic(
      region.handle,
      topic.name,
      orderLevel[topic.order],
      ackLevel[topic.ack]
    )).pipe(whenFull("topics"))
