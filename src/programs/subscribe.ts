/**
 * `ringfence subscribe`: writes the records of a topic to standard output, byte for byte, in the topic's order.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { TopicUnknown } from "../services/schema/Topic.ts"
import {
  defaultCursorExpiry,
  defaultFrom,
  type From,
  type Gap,
  type IndexedBatch,
  Subscriber,
  type SubscriberHandle,
  type SubscriberOptions
} from "../services/Subscriber.ts"
import { directoriesFlag } from "./cli/directories.ts"
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
import { millisFlag, plural, writtenMillis } from "./cli/units.ts"
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
  lag: setting("lag", (name) => Flag.Literals(name, ["gate", "lapped", "history"]), {
    description:
      "When memory runs short of room that is not read here: gate (publishers wait), lapped (these records are "
      + "missing, and told), or history (they are read from --history)",
    fallback: "gate"
  }),
  cursor: openSetting("cursor", (name) => Flag.withMetavar(Flag.String(name), "name"), {
    description:
      "Go on behind what was written under this name, and commit what is written now; --from counts only for a "
      + "new one. Waits while another process holds it",
    shown: "none"
  }),
  takeOver: setting("take-over", (name) => Flag.Boolean(name), {
    description: "Take the cursor from a process that holds it and lives: it commits nothing more",
    fallback: false
  }),
  cursorExpiry: setting("cursor-expiry", millisFlag, {
    description: "How long a cursor without a holder is remembered",
    fallback: Duration.toMillis(Duration.fromInputUnsafe(defaultCursorExpiry)),
    show: writtenMillis
  }),
  json: jsonSetting
}

const inputs = {
  topic: Argument.String("topic").pipe(Argument.withDescription("The topic to read")),
  history: directoriesFlag("history", "A replica's directory, to read what memory no longer has")
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
      "waits for more with --follow. With --lag lapped it tells on standard error what is missing where. The report of",
      "--json goes to standard error."
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
      command: "ringfence subscribe orders --follow --cursor billing",
      description: "Go on where the last subscriber with this cursor was, also after it was killed"
    },
    {
      command: "ringfence subscribe ticks --follow --lag lapped",
      description: "Never keep a publisher waiting; what is missing is told on standard error"
    },
    {
      command: "ringfence subscribe orders --follow --lag history --history /var/lib/orders",
      description: "The same without missing any: what memory no longer has comes from a replica"
    },
    {
      command: "ringfence subscribe blobs --raw --follow > copy.img",
      description: "A binary file, byte for byte; start it before the file is published"
    }
  ])
)

// --- internal ---

type Values = ValuesOf<typeof settings>

interface Written {
  records: number
  bytes: number
  trimmed: number
  /** What was committed. */
  end?: number
}

const newline = 0x0a

const readTopic = Effect.fnUntraced(function*(name: string, values: Values) {
  const topic = yield* declaredTopic(name)
  if (topic === undefined) return yield* new TopicUnknown({ topic: name, known: yield* knownTopics })
  const beganMillis = performance.now()
  const subscriber = yield* Subscriber.open(topic, {
    from: values.from,
    untilEnd: !values.follow,
    isolation: values.isolation,
    lag: values.lag,
    mustExist: true,
    ...cursorOptions(values)
  })
  const written = yield* copyToOutput(subscriber, values)
  yield* tellGapAtEnd(subscriber, values)
  if (values.cursor !== undefined && topic.ack === "durable") yield* commitDurably(subscriber, written.end)
  if (!values.json) return
  const seconds = (performance.now() - beganMillis) / 1000
  const { bytes, end, records, trimmed } = written
  const gaps = subscriber.gaps()
  const report = {
    program: "subscribe",
    topic: name,
    records,
    bytes,
    trimmed,
    position: subscriber.position(),
    ...values.lag === "lapped" ? { gaps: gaps.count, missed: gaps.records } : {},
    ...values.cursor === undefined ? {} : { cursor: values.cursor, committed: end },
    seconds
  }
  yield* printReportAside(report)
})

const cursorOptions = ({ cursor, cursorExpiry, takeOver }: Values): SubscriberOptions =>
  cursor === undefined ? { takeOver } : { cursor, cursorExpiry, takeOver }

// The commits of a durable topic are on disks soon; only the last one is waited for. A log that has ended takes no more.
const commitDurably = (subscriber: SubscriberHandle<Uint8Array>, end: number | undefined) =>
  end === undefined ? Effect.void : subscriber.commit({ durable: true, position: end }).pipe(
    Effect.catchIf(
      (error) => error._tag === "RegionLost" && error.reason === "stopped",
      () => writeNotice(`the log has ended: whether replicas have position ${end} of the cursor is not known`)
    )
  )

// Batches are lent until the next pull, so they stay valid while they are written. An interruption may release them
// while the output's reader has taken only half; the process then ends before a publisher's bytes could be written
// instead.
const copyToOutput = Effect.fnUntraced(function*(
  subscriber: SubscriberHandle<Uint8Array>,
  { count = Infinity, cursor, from, json, raw, separator }: Values
) {
  const bytesOf = raw || separator === "none" ? contiguousBytes : (part: BatchPart) => separatedBytes(part, newline)
  // A cursor may be ahead of it, or behind.
  const position = typeof from === "object" && cursor === undefined ? from.position : 0
  const written: Written = { records: 0, bytes: 0, trimmed: 0 }
  while (written.records < count) {
    const batches = yield* subscriber.pull
    if (batches.length === 0) break
    if (written.records === 0 && from === "start" && cursor === undefined) {
      written.trimmed = yield* trimmedBefore(batches, json)
    }
    yield* Effect.forEach(batches, ({ gap }) => gap === undefined || json ? Effect.void : writeNotice(gapText(gap)))
    const parts = partsOf(batches, position, count - written.records)
    const bytes = parts.map(bytesOf)
    yield* writeOutput(bytes)
    written.records += parts.reduce((sum, part) => sum + recordsIn(part), 0)
    written.bytes += bytes.reduce((sum, { length }) => sum + length, 0)
    const last = parts.at(-1)
    if (cursor === undefined || last === undefined) continue
    written.end = yield* subscriber.commit({ position: last.batch.position + last.end })
  }
  return written
})

const gapText = ({ from, to }: Gap): string =>
  `${plural(to - from, "record")} missing here, from ${from} to ${to - 1}: memory had no room for what was not read`

// No record is behind it that would tell.
const tellGapAtEnd = (subscriber: SubscriberHandle<Uint8Array>, { json }: Values): Effect.Effect<void> => {
  const gap = subscriber.gaps().ahead
  return gap === undefined || json ? Effect.void : writeNotice(gapText(gap))
}

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
