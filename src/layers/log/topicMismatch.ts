/**
 * Compares a topic as it is opened with its declaration in the region.
 */
import { type Topic, TopicMismatch } from "../../services/schema/Topic.ts"

/** Names of levels: a region may hold one that this version does not know. */
interface Declaration {
  readonly order: string
  readonly ack: string
}

/** The error of opening a topic under another declaration than its own; `undefined` when they agree. */
export const topicMismatch = (wanted: Topic<any>, found: Declaration): TopicMismatch | undefined =>
  wanted.order === found.order && wanted.ack === found.ack
    ? undefined
    : new TopicMismatch({ topic: wanted.name, wanted: describe(wanted), found: describe(found) })

// --- internal ---

const describe = ({ ack, order }: Declaration): string => `order "${order}", ack "${ack}"`
