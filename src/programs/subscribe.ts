/**
 * `ringfence subscribe`: writes the records of a topic to standard output, byte for byte, in the topic's order.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { TopicUnknown } from "../services/schema/Topic.ts"
import { defaultFrom, type From, type IndexedBatch, Subscriber, type SubscriberHandle } from "../services/Subscriber.ts"
import { asClient } from "./cli/log-client.ts"
import { foreignSetting } from "./cli/region-access.ts"
import { printReportAside } from "./cli/report.ts"
import { serverDeadlineSetting } from "./cli/server-deadline.ts"
import {
  configured,
  flagsOf,
  jsonSetting,
  openSetting,
  printConfigFlag,
  setting,
  type ValuesOf
} from "./cli/settings.ts"
import { writeNotice, writeOutput } from "./cli/streams.ts"
import { targetOf, targetSettings } from "./cli/target.ts"
import { declaredTopic, knownTopics } from "./cli/topic-flags.ts"
import { plural } from "./cli/units.ts"
import { lines } from "./cli/usage.ts"
import { type BatchPart, contiguousBytes, partFrom, recordsIn, separatedBytes } from "./subscribe/record-bytes.ts"

const parseFrom = (text: string): Option.Option<From> => {
  if (text === "start" || text === "end") return Option.some(text)
  return /^\d{1,15}$/.test(text) ? Option.some({ position: Number(text) }) : Option.none()
}

const fromFlag = (name: string): Flag.Flag<From> =>
  Flag.String(name).pipe(
    Flag.withMetavar("start|end|position"),
    Flag.filterMap(parseFrom, () => "start, end, or the position of a record, which is a whole number")
  )

const settings = {
  ...targetSettings,
  from: setting<From>("from", (name) => fromFlag(name), {
    description: "Where to begin: start (the oldest record kept), end, or a position (not under order none)",
    fallback: defaultFrom,
    show: (from) => typeof from === "object" ? from.position : from
  }),
  follow: setting("follow", (name) => Flag.withAlias(Flag.Boolean(name), "f"), {
    description: "Wait for more records at the end",
    fallback: false
  }),
  separator: setting("record-separator", (name) => Flag.Literals(name, ["newline", "none"]), {
    description: "Text written after each record",
    fallback: "newline"
  }),
  raw: setting("raw", (name) => Flag.Boolean(name), {
    description: "Write only the bytes of the records, like --record-separator none",
    fallback: false
  }),
  count: openSetting("count", (name) => Flag.filter(Flag.Int(name), (count) => count >= 0, () => "not negative"), {
    description: "End after this many records",
    shown: "all"
  }),
  allowForeign: foreignSetting,
  serverMillis: serverDeadlineSetting,
  isolation: setting("isolation", (name) => Flag.Literals(name, ["ordered", "durable"]), {
    description: "Read what is committed, or only what is on the disks of the required replicas",
    fallback: "ordered"
  }),
  json: jsonSetting
}

const inputs = {
  topic: Argument.String("topic").pipe(Argument.withDescription("The topic to read")),
  history: Flag.String("history").pipe(
    Flag.withMetavar("directory"),
    Flag.withDescription("A replica's directory, to read what memory no longer has; repeatable"),
    Flag.filter((dir) => dir !== "", () => "no directory is given"),
    Flag.atLeast(0)
  )
}

export const subscribe = Command.make(
  "subscribe",
  { ...flagsOf(settings), ...inputs, printConfig: printConfigFlag },
  (input) =>
    configured(
      settings,
      input,
      (config) =>
        Effect.flatMap(
          targetOf(config),
          (target) =>
            asClient(
              target,
              { ...config.values, processName: "subscribe", history: input.history },
              readTopic(input.topic, config.values)
            )
        )
    )
).pipe(
  Command.withDescription(
    lines(
      "Writes the records of a topic to standard output in the topic's order, each followed by a newline; under order",
      "none as they are found, each broker's records of a session in their order. Ends at the last committed record, or",
      "waits for more with --follow. The report of --json goes to standard error."
    )
  ),
  Command.withShortDescription("Write the records of a topic to standard output"),
  Command.withExamples([
    { command: "ringfence subscribe lines", description: "All records kept" },
    { command: "ringfence subscribe lines --follow --from end", description: "New records only" },
    {
      command: "ringfence subscribe orders --history /var/lib/orders",
      description: "All records that a replica has, and then those in memory"
    },
    {
      command: "ringfence subscribe blobs --raw --follow > copy.img",
      description: "A binary file, byte for byte; start it before the file is published"
    }
  ])
)

// --- internal ---

type Values = ValuesOf<typeof settings>

const newline = 0x0a

const readTopic = Effect.fnUntraced(function*(name: string, values: Values) {
  const topic = yield* declaredTopic(name)
  if (topic === undefined) return yield* new TopicUnknown({ topic: name, known: yield* knownTopics })
  const beganMillis = performance.now()
  const subscriber = yield* Subscriber.open(topic, {
    from: values.from,
    untilEnd: !values.follow,
    isolation: values.isolation,
    mustExist: true
  })
  const written = yield* copyToOutput(subscriber, values)
  if (!values.json) return
  const seconds = (performance.now() - beganMillis) / 1000
  const report = { program: "subscribe", topic: name, ...written, position: subscriber.position(), seconds }
  yield* printReportAside(report)
})

// Batches are lent until the next pull, so they stay valid while they are written. An interruption may release them
// while the output's reader has taken only half; the process then ends before a publisher's bytes could be written
// instead.
const copyToOutput = Effect.fnUntraced(function*(
  subscriber: SubscriberHandle<Uint8Array>,
  { count = Infinity, from, json, raw, separator }: Values
) {
  const bytesOf = raw || separator === "none" ? contiguousBytes : (part: BatchPart) => separatedBytes(part, newline)
  const position = typeof from === "object" ? from.position : 0
  const written = { records: 0, bytes: 0, trimmed: 0 }
  while (written.records < count) {
    const batches = yield* subscriber.pull
    if (batches.length === 0) break
    if (written.records === 0 && from === "start") written.trimmed = yield* trimmedBefore(batches, json)
    const parts = partsOf(batches, position, count - written.records)
    const bytes = parts.map(bytesOf)
    yield* writeOutput(bytes)
    written.records += parts.reduce((sum, part) => sum + recordsIn(part), 0)
    written.bytes += bytes.reduce((sum, { length }) => sum + length, 0)
  }
  return written
})

// Warns of trimmed records: without a subscriber the log keeps only the newest, and the user may expect all of them.
const trimmedBefore = Effect.fnUntraced(function*(batches: ReadonlyArray<IndexedBatch>, json: boolean) {
  const trimmed = batches[0]?.position ?? 0
  if (trimmed > 0 && !json) {
    const before = `${plural(trimmed, "record")} before this one ${trimmed === 1 ? "is" : "are"}`
    yield* writeNotice(`${before} not kept: to get all records, start the subscriber before they are published`)
  }
  return trimmed
})

const partsOf = (batches: ReadonlyArray<IndexedBatch>, position: number, most: number): ReadonlyArray<BatchPart> => {
  const parts: Array<BatchPart> = []
  let left = most
  for (const batch of batches) {
    const part = partFrom(batch, position, left)
    left -= recordsIn(part)
    if (recordsIn(part) > 0) parts.push(part)
  }
  return parts
}
