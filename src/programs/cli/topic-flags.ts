/**
 * Parses topics of a command line: their levels, and declarations like `orders:total:none`.
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Diagnostics } from "../../services/Diagnostics.ts"
import * as Topic from "../../services/schema/Topic.ts"
import { openSetting } from "./settings.ts"

export const orders: ReadonlyArray<Topic.Order> = ["session", "total", "none"]
export const acks: ReadonlyArray<Topic.Ack> = ["ordered", "durable", "none"]

export const levelSettings = {
  order: openSetting("order", (name) => Flag.Literals(name, orders), {
    description: "Order of the topic",
    shown: "as declared, or session"
  }),
  ack: openSetting("ack", (name) => Flag.Literals(name, acks), {
    description: "What an acknowledgement means",
    shown: "as declared, or ordered (none where the order is none)"
  })
}

/** `name`, `name:order` or `name:order:ack`, any number of times. */
export const topicsFlag: Flag.Flag<ReadonlyArray<Topic.Topic>> = Flag.String("topic").pipe(
  Flag.withMetavar("name[:order[:ack]]"),
  Flag.withDescription(
    `Declare a topic that keeps its place; repeatable (order: ${orders.join(", ")}; ack: ${acks.join(", ")})`
  ),
  Flag.filterMap(
    (text) => parseTopic(text),
    (text) => `"${text}" is not name[:order[:ack]] with order ${orders.join(", ")} and ack ${acks.join(", ")}`
  ),
  Flag.atLeast(0)
)

/** The topic as declared in the region; `undefined` if it is not declared. */
export const declaredTopic = (name: string): Effect.Effect<Topic.Topic | undefined, never, Diagnostics> =>
  Effect.map(Diagnostics.use(({ snapshot }) => snapshot), ({ topics }) => {
    const found = topics.find((topic) => topic.name === name)
    return found && Topic.make(name, { order: found.order as Topic.Order, ack: found.ack as Topic.Ack })
  })

/** The names of the topics declared in the region. */
export const knownTopics: Effect.Effect<ReadonlyArray<string>, never, Diagnostics> = Effect.map(
  Diagnostics.use(({ snapshot }) => snapshot),
  ({ topics }) => topics.map(({ name }) => name)
)

// --- internal ---

const isOrder = (text: string): text is Topic.Order => (orders as ReadonlyArray<string>).includes(text)
const isAck = (text: string): text is Topic.Ack => (acks as ReadonlyArray<string>).includes(text)

const parseTopic = (text: string): Option.Option<Topic.Topic> => {
  const [name = "", order = Topic.defaultOrder, ack = Topic.defaultAck(order as Topic.Order), ...more] = text.split(":")
  if (more.length > 0 || !isOrder(order) || !isAck(ack)) return Option.none()
  return Option.some(Topic.make(name, { order, ack }))
}
