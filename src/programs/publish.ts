/**
 * `ringfence publish`: files or standard input as records of a topic.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import { CxlMemory } from "../services/CxlMemory.ts"
import { Publisher, type PublisherHandle, RecordTooLarge } from "../services/Publisher.ts"
import * as Topic from "../services/schema/Topic.ts"
import { asClient } from "./cli/log-client.ts"
import { foreignSetting } from "./cli/region-access.ts"
import { printEventAside, printReport } from "./cli/report.ts"
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
import { writeNotice } from "./cli/streams.ts"
import { type Target, targetOf, targetSettings } from "./cli/target.ts"
import { declaredTopic, levelSettings } from "./cli/topic-flags.ts"
import { bytesFlag, millisFlag, plural, writtenMillis } from "./cli/units.ts"
import { lines } from "./cli/usage.ts"
import { type Input, openInputs } from "./publish/input.ts"
import { lineCutter, pieceCutter } from "./publish/record-splitter.ts"
import {
  describePublished,
  describeSoFar,
  publishedReport,
  publishedSoFar,
  type PublishTally
} from "./publish/report.ts"
import { InputTooShort, sendRecords } from "./publish/send.ts"

const tooSmall = () => "a record has at least one byte"

const identityFlag = (name: string): Flag.Flag<string> =>
  Flag.String(name).pipe(
    Flag.withMetavar("name"),
    Flag.filter(Topic.isName, () => `the name is not usable: ${Topic.namesText}`)
  )

const settings = {
  ...targetSettings,
  ...levelSettings,
  allowForeign: foreignSetting,
  recordBytes: openSetting("record-bytes", (name) => Flag.filter(bytesFlag(name), (bytes) => bytes >= 1, tooSmall), {
    description: "Cut the input into records of this size instead of lines; the last may be shorter",
    shown: "lines"
  }),
  lingerMillis: setting("linger", millisFlag, {
    description: "How long an unfilled batch may wait for more records",
    fallback: 0,
    show: writtenMillis
  }),
  deadlineMillis: setting("deadline", millisFlag, {
    description: "How long to wait for the server, for room, and for acknowledgements",
    fallback: 30_000,
    show: writtenMillis
  }),
  identity: openSetting("identity", identityFlag, {
    description: "A name with which a publish that was killed is continued: give it the same name and input again",
    shown: "none"
  }),
  serverMillis: serverDeadlineSetting,
  json: jsonSetting
}

const inputs = {
  topic: Argument.String("topic").pipe(Argument.withDescription("The topic; declared if it does not exist yet")),
  paths: Argument.String("paths").pipe(
    Argument.withDescription("Files to publish, in this order; - or no file means standard input"),
    Argument.variadic()
  )
}

export const publish = Command.make(
  "publish",
  { ...flagsOf(settings), ...inputs, printConfig: printConfigFlag },
  (input) =>
    configured(
      settings,
      input,
      (config) => Effect.flatMap(targetOf(config), (target) => publishTo(target, config.values, input))
    )
).pipe(
  Command.withDescription(
    lines(
      "Publishes files or standard input as records of a topic and waits until they are acknowledged, unless the topic",
      "has no acknowledgements. Each line is a record, without its newline, unless --record-bytes cuts the input into",
      "pieces. With --identity a publish that was killed goes on where its committed records end, when it is started",
      "again with the same input: no record is lost, and none is in the log twice."
    )
  ),
  Command.withShortDescription("Publish files or standard input"),
  Command.withExamples([
    { command: "ringfence publish lines access.log", description: "Each line of a file is a record" },
    { command: "ringfence publish blobs --record-bytes 64KiB disk.img", description: "A binary file, byte for byte" },
    {
      command: "ringfence publish lines --identity import access.log",
      description: "Can be killed and started again: continues"
    },
    { command: "tail -f access.log | ringfence publish lines -", description: "Lines as they are written" }
  ])
)

// --- internal ---

type Values = ValuesOf<typeof settings>

interface Inputs {
  readonly topic: string
  readonly paths: ReadonlyArray<string>
}

const publishTo = Effect.fnUntraced(function*(target: Target, values: Values, { paths, topic }: Inputs) {
  const inputs = yield* openInputs(paths)
  if (paths.length === 0 && !values.json) yield* sayTerminalInput
  yield* asClient(
    target,
    { processName: "publish", allowForeign: values.allowForeign, serverMillis: values.serverMillis },
    publishInputs(inputs, topic, values),
    values.deadlineMillis
  )
})

const sayTerminalInput = Effect.flatMap(
  Stdio.Stdio.use(({ stdinIsTerminal }) => stdinIsTerminal),
  (isTerminal) => isTerminal ? writeNotice("each line is a record; Ctrl-D ends the input") : Effect.void
)

const publishInputs = Effect.fnUntraced(function*(inputs: ReadonlyArray<Input>, name: string, values: Values) {
  const { info } = yield* CxlMemory
  const limitBytes = info.geometry.batchBytes
  const { recordBytes } = values
  if (recordBytes !== undefined && recordBytes > limitBytes) {
    return yield* new RecordTooLarge({ topic: name, recordBytes, limitBytes })
  }
  const topic = yield* topicToPublish(name, values)
  const publisher = yield* Publisher.open(topic, {
    identity: values.identity,
    linger: values.lingerMillis,
    openDeadline: values.deadlineMillis,
    roomDeadline: values.deadlineMillis,
    ackDeadline: values.deadlineMillis
  })
  const tally: PublishTally = { bytes: 0, skipped: 0, beganMillis: performance.now() }
  const newCutter = recordBytes === undefined ? lineCutter : () => pieceCutter(recordBytes)
  const send = ({ chunks }: Input) => sendRecords(publisher, chunks, newCutter(), { limitBytes, tally })
  if (publisher.committed > 0 && !values.json) yield* saySkipped(values.identity, publisher.committed)
  yield* Effect.forEach(inputs, send, { discard: true }).pipe(
    Effect.andThen(publisher.flush),
    Effect.andThen(Effect.suspend(() => refuseTooShort(publisher, values.identity, tally))),
    // Flush before each wait: the next line may take long or never arrive.
    Effect.raceFirst(publisher.lost),
    // Wait for acknowledgements even after an input error: the records before it are valid.
    Effect.tapErrorTag(["RecordTooLarge", "InputUnreadable"], () => Effect.ignore(publisher.flush)),
    Effect.onError(() => sayHowFar(values.json, publisher))
  )
  if (topic.order === "none" && publisher.readers().length === 0 && !values.json) yield* sayUnread(name)
  yield* printReport(
    values.json,
    publishedReport(info.name, topic, publisher, tally, values.identity),
    describePublished
  )
})

const saySkipped = (identity = "", committed: number) =>
  writeNotice(`skips ${plural(committed, "record")} of the input, which "${identity}" has committed before`)

const refuseTooShort = ({ committed }: PublisherHandle<Uint8Array>, identity = "", { skipped }: PublishTally) =>
  skipped < committed ? Effect.fail(new InputTooShort({ identity, records: skipped, committed })) : Effect.void

const sayUnread = (topic: string) =>
  writeNotice(
    `no subscriber of "${topic}" is attached: under order none a session's records are gone when it ends, unless a `
      + `subscriber is attached by then`
  )

// Options that are not given follow the topic's declaration, so that only a contradiction is an error.
const topicToPublish = (name: string, values: Values) =>
  Effect.map(declaredTopic(name), (declared) => {
    const order = values.order ?? declared?.order ?? Topic.defaultOrder
    return Topic.make(name, { order, ack: values.ack ?? declared?.ack ?? Topic.defaultAck(order) })
  })

const sayHowFar = (json: boolean, publisher: PublisherHandle<Uint8Array>) =>
  Effect.suspend(() => printEventAside(json, "publish", publishedSoFar(publisher), describeSoFar))
